select
    name,
    source,
    manifest,
    label_from,
    window_s,
    stride_s
from core.collection
order by collection_key
