-- Resolve failures of paths that have been read again: those of former bytes, and those that no longer fail.
update core.failure
set status = 'resolved'
from (
    select
        given.path,
        given.failed,
        v.video_key
    from given
    left join core.video as v on given.video_id = v.video_id
) as fresh
where
    core.failure.status <> 'resolved'
    and core.failure.path = fresh.path
    and core.failure.collection_key
    = (select c.collection_key from core.collection as c where c.name = $collection)
    and (not fresh.failed or core.failure.video_key is distinct from fresh.video_key)
