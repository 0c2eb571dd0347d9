-- Location and file identity of a present path when its bytes were hashed.
select
    v.video_id,
    c.source,
    cv.path,
    cv.size_bytes,
    cv.mtime_ns,
    cv.inode,
    cv.ctime_ns,
    cv.etag
from core.collection_video as cv
inner join core.collection as c on cv.collection_key = c.collection_key
inner join core.video as v on cv.video_key = v.video_key
where
    c.name = $collection
    and cv.path = $path
    and cv.present
