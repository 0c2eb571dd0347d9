-- Labelled spans of the present videos of one collection or of all, in order of time.
select
    part.collection,
    part.path,
    part.start_s,
    part.end_s,
    unnest(if(collection.multi_label, string_split(part.label, '|'), [part.label])) as label
from labelled_spans as part
inner join core.served_video as served
    on
        part.collection = served.collection
        and part.path = served.path
inner join core.collection as collection on served.collection_key = collection.collection_key
where $collection is null or part.collection = $collection
order by part.collection, part.path, part.start_s
