select
    name,
    source,
    manifest,
    label_from
from core.collection
where name = $name
