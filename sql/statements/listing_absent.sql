-- A path no longer listed becomes absent, never deleted.
update core.collection_video
set present = false
where
    present
    and collection_key = (select c.collection_key from core.collection as c where c.name = $collection)
    and path not in (select listing.path from listing)
returning path
