-- Collections that declare attributes, with the type of each.
select
    name,
    attribute_types
from core.collection
where cardinality(attribute_types) > 0
order by collection_key
