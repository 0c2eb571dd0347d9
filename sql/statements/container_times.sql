-- What containers say of when a collection's present videos were recorded, where that needs the collection's time
-- zone, or is no date and time.
select
    cv.path,
    v.recorded_text
from core.collection_video as cv
inner join core.collection as c on cv.collection_key = c.collection_key
inner join core.video as v on cv.video_key = v.video_key
where
    c.name = $collection
    and v.recorded_text is not null
