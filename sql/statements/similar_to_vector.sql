-- At most so many present videos, of one collection or of all, whose vectors are most like the given one.
with scored as (
    -- No join here: it would copy every vector.
    select
        vv.video_key,
        array_cosine_similarity(vv.vector, $vector::float[128]) as cosine
    from core.video_vector as vv
    where
        vv.feature_set_key = $feature_set_key
        and vv.video_key <> $video_key
),

nearest as (
    select
        scored.video_key,
        scored.cosine
    from scored
    where
        scored.video_key in (
            select present.video_key
            from core.present_video as present
            inner join core.collection as c on present.collection_key = c.collection_key
            where $collection is null or c.name = $collection
        )
    order by scored.cosine desc
    limit $most
),

wanted as (
    select
        present.video_key,
        min_by(c.name, present.collection_key) as collection,
        min_by(present.path, present.collection_key) as path,
        min(present.collection_key) as collection_key
    from core.present_video as present
    inner join nearest on present.video_key = nearest.video_key
    inner join core.collection as c on present.collection_key = c.collection_key
    where $collection is null or c.name = $collection
    group by present.video_key
)

select
    wanted.path,
    v.video_id,
    nearest.cosine,
    coalesce(item.label, label.label) as label,
    wanted.collection
from nearest
inner join wanted on nearest.video_key = wanted.video_key
inner join core.video as v on nearest.video_key = v.video_key
left join core.item as item
    on
        wanted.collection_key = item.collection_key
        and wanted.path = item.path
left join core.serving_prediction as top
    on
        wanted.collection_key = top.collection_key
        and nearest.video_key = top.video_key
left join core.label as label on top.label_key = label.label_key
order by
    nearest.cosine desc,
    v.video_id asc
