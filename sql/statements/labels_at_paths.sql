-- Videos at the given paths of a collection, with their current labels.
select
    listed.path,
    video.video_id,
    listed.label
from core.item as listed
inner join core.collection as collection on listed.collection_key = collection.collection_key
inner join core.video as video on listed.video_key = video.video_key
where
    collection.name = $collection
    and listed.path in (select given.path from given)
