-- Videos that collections have at a path, present ones first.
select
    v.video_id,
    c.name,
    cv.present
from core.collection_video as cv
inner join core.collection as c on cv.collection_key = c.collection_key
inner join core.video as v on cv.video_key = v.video_key
where
    cv.path = $path
    and ($collection is null or c.name = $collection)
order by
    cv.present desc,
    c.name asc
