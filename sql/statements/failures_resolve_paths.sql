-- The given paths have been read anew: what failed with their former bytes is over.
update core.failure
set status = 'resolved'
where
    status <> 'resolved'
    and collection_key = (select c.collection_key from core.collection as c where c.name = $collection)
    and path in (select given.path from given)
