-- Features of parts that are gone are forgotten, where their videos are still there to be read again.
delete from core.video_feature
using given, core.feature_set
where
    core.feature_set.feature_set_id = given.feature_set_id
    and core.video_feature.feature_set_key = core.feature_set.feature_set_key
    and core.video_feature.part = given.part
    and exists (
        from core.collection_video as cv
        where cv.video_key = core.video_feature.video_key and cv.present
    )
