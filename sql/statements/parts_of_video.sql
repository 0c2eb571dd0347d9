-- The parts that hold a video's features.
select
    fs.feature_set_id,
    vf.part
from core.video_feature as vf
inner join core.video as v on vf.video_key = v.video_key
inner join core.feature_set as fs on vf.feature_set_key = fs.feature_set_key
where v.video_id = $video_id
