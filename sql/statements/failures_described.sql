-- Paths of a collection with unresolved failures of stated values.
select f.path
from core.failure as f
inner join core.collection as c on f.collection_key = c.collection_key
where
    c.name = $collection
    and f.stage = 'describe'
    and f.status <> 'resolved'
