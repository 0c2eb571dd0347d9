-- Present paths of the given failing videos, one failure row each.
select
    c.name as collection,
    cv.path,
    given.video_id,
    given.error_class,
    given.message
from given
inner join core.video as v on given.video_id = v.video_id
inner join core.collection_video as cv on v.video_key = cv.video_key
inner join core.collection as c on cv.collection_key = c.collection_key
where
    cv.present
    and given.error_class is not null
