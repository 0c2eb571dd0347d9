-- Labels of a collection, known and predicted, with their numbers of present videos, in order of their names.
with known as (
    select
        item.label,
        count(*) as known
    from core.item as item
    inner join core.collection as collection on item.collection_key = collection.collection_key
    where
        collection.name = $collection
        and item.present
        and item.label is not null
    group by item.label
),

predicted as (
    select
        top.label,
        count(*) as predicted
    from latest_predictions as top
    where top.collection = $collection
    group by top.label
)

select
    coalesce(known.label, predicted.label) as label,
    coalesce(known.known, 0) as known,
    coalesce(predicted.predicted, 0) as predicted
from known
full outer join predicted on known.label = predicted.label
order by label
