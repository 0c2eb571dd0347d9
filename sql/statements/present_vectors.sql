-- Vectors of the present videos of a feature set, and whether each has been compared with the others.
select
    v.video_id,
    vv.vector,
    compared.video_key is not null as compared
from core.video_vector as vv
inner join core.feature_set as fs on vv.feature_set_key = fs.feature_set_key
inner join core.video as v on vv.video_key = v.video_key
left join core.compared_video as compared
    on
        vv.video_key = compared.video_key
        and vv.feature_set_key = compared.feature_set_key
where
    fs.feature_set_id = $feature_set_id
    and vv.video_key in (select present.video_key from core.present_video as present)
order by v.video_key asc
