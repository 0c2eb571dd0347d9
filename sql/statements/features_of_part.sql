-- The videos whose features a part holds, in the order of their rows.
select
    v.video_id,
    vf.part,
    vf.row_offset,
    vf.n_frames
from core.video_feature as vf
inner join core.video as v on vf.video_key = v.video_key
inner join core.feature_set as fs on vf.feature_set_key = fs.feature_set_key
where
    fs.feature_set_id = $feature_set_id
    and vf.part = $part
order by vf.row_offset
