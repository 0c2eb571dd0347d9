-- Replace the label issues of a collection by the given ones.
delete from core.label_issue
where collection_key = (select c.collection_key from core.collection as c where c.name = $collection);

delete from core.label_check
where collection_key = (select c.collection_key from core.collection as c where c.name = $collection);

insert into core.label_check (collection_key, dataset_hash, videos, unjudged, checked_at)
select
    c.collection_key,
    $dataset_hash as dataset_hash,
    $videos as videos,
    $unjudged as unjudged,
    $now as checked_at
from core.collection as c
where c.name = $collection;

insert into core.label_issue (
    collection_key, video_key, rank, label, suggested, label_score, suggested_score, is_confident
)
select
    c.collection_key,
    v.video_key,
    given.rank,
    given.label,
    given.suggested,
    given.label_score,
    given.suggested_score,
    given.is_confident
from given
inner join core.video as v on given.video_id = v.video_id
inner join core.collection as c on c.name = $collection
