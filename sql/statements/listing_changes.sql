-- Paths of the listing whose bytes must be read: new, changed, never hashed, waiting (changed while being read),
-- or due for another probe.
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

probe_due as (
    select v.video_key
    from core.video as v
    where
        v.container is null
        and v.verdict is null
    union
    select f.video_key
    from core.failure as f
    where
        $retry_failed
        and f.stage = 'probe'
        and f.status = 'retry'
)

select listing.path
from listing
left join known on listing.path = known.path
where
    known.path is null
    or known.video_key is null
    or known.size_bytes is distinct from listing.size_bytes
    or known.mtime_ns is distinct from listing.mtime_ns
    or known.inode is distinct from listing.inode
    or known.etag is distinct from listing.etag
    or known.video_key in (select video_key from probe_due)
    or listing.path in (select path from waiting)
