-- Resolve failures of stated values that are not among the given ones.
update core.failure
set status = 'resolved'
where
    stage = 'describe'
    and status <> 'resolved'
    and collection_key = (select c.collection_key from core.collection as c where c.name = $collection)
    and path not in (select given.path from given)
