-- Feature sets in which there are vectors, the newest first; with a video, those in which it has one, with that.
select
    fs.feature_set_id,
    fs.feature_set_key,
    fs.spec,
    0 as video_key,
    null::float[128] as vector
from core.feature_set as fs
where
    $video_id is null
    and exists (select 1 from core.projection as p where p.feature_set_key = fs.feature_set_key)
union all
select
    fs.feature_set_id,
    fs.feature_set_key,
    fs.spec,
    vv.video_key,
    vv.vector
from core.video as v
inner join core.video_vector as vv on v.video_key = vv.video_key
inner join core.feature_set as fs on vv.feature_set_key = fs.feature_set_key
where v.video_id = $video_id
order by feature_set_key desc
