-- Paths of the listing whose bytes must be read: new, changed, never hashed, waiting (changed while being read),
-- or without metadata or verdict; and those whose probe failed and is due again.
with known as (
    select
        cv.path,
        cv.size_bytes,
        cv.mtime_ns,
        cv.inode,
        cv.etag,
        cv.video_key
    from core.collection_video as cv
    inner join core.collection as c on cv.collection_key = c.collection_key
    where c.name = $collection
),

waiting as (
    select f.path
    from core.failure as f
    inner join core.collection as c on f.collection_key = c.collection_key
    where
        c.name = $collection
        and f.status = 'waiting'
),

never_probed as (
    select v.video_key
    from core.video as v
    where
        v.container is null
        and v.verdict is null
),

probe_due as (
    select f.video_key
    from core.failure as f
    where
        f.stage = 'probe'
        and f.status = 'retry'
        and f.video_key is not null
),

compared as (
    select
        listing.path,
        (
            known.path is null
            or known.video_key is null
            or known.size_bytes is distinct from listing.size_bytes
            or known.mtime_ns is distinct from listing.mtime_ns
            or known.inode is distinct from listing.inode
            or known.etag is distinct from listing.etag
            or known.video_key in (select never_probed.video_key from never_probed)
            or listing.path in (select waiting.path from waiting)
        ) as is_changed,
        known.video_key in (select probe_due.video_key from probe_due) as is_due
    from listing
    left join known on listing.path = known.path
)

select
    path,
    is_changed
from compared
where
    is_changed
    or is_due
