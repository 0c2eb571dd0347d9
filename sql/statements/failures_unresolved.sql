select count(*) as unresolved
from core.failure as f
inner join core.collection as c on f.collection_key = c.collection_key
where
    f.status in ('retry', 'quarantined')
    and ($collection is null or c.name = $collection)
