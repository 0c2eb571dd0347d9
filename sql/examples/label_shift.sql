-- What would change if the challenger served? The labels that gain or lose most.
select
    collection,
    other_version,
    label,
    serving_videos,
    other_videos,
    round(share_change, 4) as share_change
from label_shift
order by abs(share_change) desc, collection asc, label asc, other_version asc
limit 20;
