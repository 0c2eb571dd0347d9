-- Present paths of a collection, to detect a listing that lost too many of them.
select cv.path
from core.collection_video as cv
inner join core.collection as c on cv.collection_key = c.collection_key
where
    c.name = $collection
    and cv.present
