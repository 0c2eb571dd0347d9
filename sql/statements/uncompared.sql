-- Present videos with a vector that have not been compared in a feature set, in the order of their parts.
select
    v.video_id,
    vf.part,
    vf.row_offset,
    vf.n_frames
from core.video_vector as vv
inner join core.feature_set as fs on vv.feature_set_key = fs.feature_set_key
inner join core.video as v on vv.video_key = v.video_key
inner join core.video_feature as vf
    on
        vv.video_key = vf.video_key
        and vv.feature_set_key = vf.feature_set_key
where
    fs.feature_set_id = $feature_set_id
    and vv.video_key in (select present.video_key from core.present_video as present)
    and not exists (
        select 1
        from core.compared_video as compared
        where
            compared.video_key = vv.video_key
            and compared.feature_set_key = vv.feature_set_key
    )
order by
    vf.part asc,
    vf.row_offset asc
