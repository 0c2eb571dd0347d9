-- Collections as they were made, the oldest first: the named one, or without a name all.
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
where name = coalesce($name, name)
order by collection_key
