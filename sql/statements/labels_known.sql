-- Number of labels of a collection's present videos and labelled spans, with or without features.
with labelled_spans as (
    select
        part.collection_key,
        part.path,
        count(*) as spans
    from core.labelled_span as part
    group by
        part.collection_key,
        part.path
)

select count(cv.label) + coalesce(sum(ls.spans), 0)::bigint as labelled
from core.item as cv
inner join core.collection as c on cv.collection_key = c.collection_key
left join labelled_spans as ls on cv.collection_key = ls.collection_key and cv.path = ls.path
where
    cv.present
    and c.name = $collection
