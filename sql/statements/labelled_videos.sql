-- Labelled present videos with features of this set, one row per path, or per span where spans are labelled.
with labelled as (
    select
        item.collection_key,
        item.path,
        item.video_key,
        item.label,
        item.group_name,
        item.splits,
        item.labelled_at is not null as given,
        null::double as start_s,
        null::double as end_s
    from core.item as item
    where item.present and item.label is not null
    union all
    select
        item.collection_key,
        item.path,
        item.video_key,
        part.label,
        item.group_name,
        item.splits,
        false as given,
        part.start_s,
        part.end_s
    from core.item as item
    inner join core.labelled_span as part
        on
            item.collection_key = part.collection_key
            and item.path = part.path
    where item.present
)

select
    v.video_id,
    labelled.path,
    labelled.label,
    coalesce(labelled.group_name, v.video_id) as group_name,
    labelled.splits,
    vf.part,
    vf.row_offset,
    vf.n_frames,
    labelled.given,
    labelled.start_s,
    labelled.end_s,
    coalesce(c.multi_label, false) as multi_label
from labelled
inner join core.collection as c on labelled.collection_key = c.collection_key
inner join core.video as v on labelled.video_key = v.video_key
inner join core.video_feature as vf on v.video_key = vf.video_key
inner join core.feature_set as fs on vf.feature_set_key = fs.feature_set_key
where
    c.name = $collection
    and fs.feature_set_id = $feature_set_id
order by
    labelled.path asc,
    labelled.start_s asc nulls first
