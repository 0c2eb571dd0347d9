-- Present videos with features of a set and no vector, in the order of their parts.
select
    v.video_id,
    vf.part,
    vf.row_offset,
    vf.n_frames
from core.video_feature as vf
inner join core.feature_set as fs on vf.feature_set_key = fs.feature_set_key
inner join core.video as v on vf.video_key = v.video_key
where
    fs.feature_set_id = $feature_set_id
    and exists (select 1 from core.collection_video as cv where cv.present and cv.video_key = vf.video_key)
    and not exists (
        select 1
        from core.video_vector as vv
        where
            vv.video_key = vf.video_key
            and vv.feature_set_key = vf.feature_set_key
    )
order by
    vf.part asc,
    vf.row_offset asc
