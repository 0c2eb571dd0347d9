insert into core.given_label (collection_key, video_key, label, source, given_at)
select
    collection.collection_key,
    video.video_key,
    given.label,
    $source as source,
    $now as given_at
from given
inner join core.video as video on given.video_id = video.video_id
inner join core.collection as collection on collection.name = $collection
