-- Of the given paths, those of videos that have been probed, and whose container says no time.
select given.path
from given
inner join core.collection_video as cv on given.path = cv.path
inner join core.collection as c on cv.collection_key = c.collection_key
inner join core.video as v on cv.video_key = v.video_key
where
    c.name = $collection
    and v.container is not null
    and v.recorded_at is null
