-- How many present videos of a collection carry a label, with features or not.
select count(*) as labelled
from core.item as cv
inner join core.collection as c on cv.collection_key = c.collection_key
where
    cv.present
    and cv.label is not null
    and c.name = $collection
