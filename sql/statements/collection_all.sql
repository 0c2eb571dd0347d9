select
    name,
    source,
    manifest,
    label_from,
    window_s,
    stride_s,
    include_globs,
    exclude_globs,
    attribute_types,
    time_from_name,
    time_zone,
    coalesce(multi_label, false) as multi_label
from core.collection
order by collection_key
