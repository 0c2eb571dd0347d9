-- Labelled spans of the present videos of one collection or of all, in order of time.
select
    part.collection,
    part.path,
    part.start_s,
    part.end_s,
    part.label
from labelled_spans as part
inner join core.served_video as served
    on
        part.collection = served.collection
        and part.path = served.path
where $collection is null or part.collection = $collection
order by part.collection, part.path, part.start_s
