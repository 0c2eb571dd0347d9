-- Features that cannot be read are forgotten, where their videos are still there to be read again, or all.
delete from core.video_feature
using given, core.video, core.feature_set
where
    core.video.video_id = given.video_id
    and core.video_feature.video_key = core.video.video_key
    and core.feature_set.feature_set_id = $feature_set_id
    and core.video_feature.feature_set_key = core.feature_set.feature_set_key
    and (
        $even_absent or exists (
            from core.collection_video as cv
            where cv.video_key = core.video_feature.video_key and cv.present
        )
    )
