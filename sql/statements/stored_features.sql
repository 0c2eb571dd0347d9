-- Positions of the given videos' features: part, row offset, frames.
select
    v.video_id,
    vf.part,
    vf.row_offset,
    vf.n_frames
from given
inner join core.video as v on given.video_id = v.video_id
inner join core.video_feature as vf on v.video_key = vf.video_key
inner join core.feature_set as fs on vf.feature_set_key = fs.feature_set_key
where fs.feature_set_id = $feature_set_id
