-- Move videos' features to another part.
update core.video_feature
set
    part = given.part,
    row_offset = given.row_offset
from given, core.video, core.feature_set
where
    core.video.video_id = given.video_id
    and core.feature_set.feature_set_id = $feature_set_id
    and core.video_feature.video_key = core.video.video_key
    and core.video_feature.feature_set_key = core.feature_set.feature_set_key
