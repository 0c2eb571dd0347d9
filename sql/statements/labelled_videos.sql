-- Labelled present videos with features of this set, one row per path.
select
    v.video_id,
    cv.path,
    cv.label,
    coalesce(cv.group_name, v.video_id) as group_name,
    cv.splits,
    vf.part,
    vf.row_offset,
    vf.n_frames,
    cv.labelled_at is not null as given
from core.item as cv
inner join core.collection as c on cv.collection_key = c.collection_key
inner join core.video as v on cv.video_key = v.video_key
inner join core.video_feature as vf on v.video_key = vf.video_key
inner join core.feature_set as fs on vf.feature_set_key = fs.feature_set_key
where
    cv.present
    and cv.label is not null
    and c.name = $collection
    and fs.feature_set_id = $feature_set_id
order by
    cv.path asc
