-- Versions that some collection still serves, with those collections.
select
    cs.model_version,
    c.name
from core.collection_serving as cs
inner join core.collection as c on cs.collection_key = c.collection_key
order by
    cs.model_version asc,
    c.name asc
