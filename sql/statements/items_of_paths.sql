-- Videos at the given paths of a collection, with their current labels.
select
    item.path,
    video.video_id,
    item.label
from core.item as item
inner join core.collection as collection on item.collection_key = collection.collection_key
inner join core.video as video on item.video_key = video.video_key
where
    collection.name = $collection
    and item.path in (select given.path from given)
