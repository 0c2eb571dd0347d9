select
    label_check.dataset_hash,
    label_check.videos,
    label_check.unjudged
from core.label_check as label_check
inner join core.collection as c on label_check.collection_key = c.collection_key
where c.name = $collection
