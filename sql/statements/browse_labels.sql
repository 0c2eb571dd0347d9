-- Labels of a collection and of the version that serves it, with their numbers of present videos, by name.
with named as (
    select unnest(item.labels) as label
    from core.item as item
    inner join core.collection as collection on item.collection_key = collection.collection_key
    where
        collection.name = $collection
        and item.present
),

known as (
    select
        named.label,
        count(*) as known
    from named
    group by named.label
),

predicted as (
    select
        top.label,
        count(*) as predicted
    from latest_labels as top
    where top.collection = $collection
    group by top.label
),

-- Also those that it gives to no video of this collection: a person may.
possible as (
    select label.label
    from (
        select distinct prediction.label_key
        from core.prediction as prediction
        inner join core.collection_serving as serving on prediction.model_version = serving.model_version
        inner join core.collection as collection on serving.collection_key = collection.collection_key
        where collection.name = $collection
    ) as scored
    inner join core.label as label on scored.label_key = label.label_key
    union
    select known.label from known
)

select
    possible.label,
    coalesce(known.known, 0) as known,
    coalesce(predicted.predicted, 0) as predicted
from possible
left join known on possible.label = known.label
left join predicted on possible.label = predicted.label
order by possible.label
