-- How many labels the present videos of a collection carry, of their own or of spans, with features or not.
select count(cv.label) + coalesce(sum(of_item.spans), 0)::bigint as labelled
from core.item as cv
inner join core.collection as c on cv.collection_key = c.collection_key
left join (
    select
        part.collection_key,
        part.path,
        count(*) as spans
    from core.labelled_span as part
    group by part.collection_key, part.path
) as of_item on cv.collection_key = of_item.collection_key and cv.path = of_item.path
where
    cv.present
    and c.name = $collection
