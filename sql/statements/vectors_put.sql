insert into core.video_vector (video_key, feature_set_key, vector)
select
    v.video_key,
    fs.feature_set_key,
    given.vector::float[128] as vector
from given
inner join core.video as v on given.video_id = v.video_id
inner join core.feature_set as fs on fs.feature_set_id = $feature_set_id
where not exists (
    select 1
    from core.video_vector as vv
    where
        vv.video_key = v.video_key
        and vv.feature_set_key = fs.feature_set_key
)
