select
    name,
    source,
    manifest,
    label_from,
    window_s,
    stride_s,
    include_globs,
    exclude_globs
from core.collection
order by collection_key
