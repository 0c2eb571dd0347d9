-- Videos scored since a night began that are unlike the training of their version and have no label, by collection.
select
    top.collection,
    count(*) as videos
from latest_predictions as top
inner join collection_videos as item on top.collection = item.collection and top.path = item.path
where
    not top.is_known
    and item.label is null
    and top.predicted_at >= (select night.started_at from nights as night where night.run_id = $run_id)
group by top.collection
order by top.collection
