-- Update known paths of a listing: present, with their labels, groups and splits.
update core.collection_video
set
    label = listing.label,
    group_name = listing.group_name,
    splits = listing.splits,
    attributes = listing.attributes,
    typed = listing.typed,
    recorded_at = listing.recorded_at,
    recorded_at_source = listing.recorded_at_source,
    present = true,
    last_seen_at = $now
from listing
where
    core.collection_video.path = listing.path
    and core.collection_video.collection_key
    = (select c.collection_key from core.collection as c where c.name = $collection)
