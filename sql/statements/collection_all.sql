select
    name,
    source,
    manifest,
    label_from
from core.collection
order by collection_key
