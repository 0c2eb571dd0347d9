-- Issues of a collection whose video still has the label, the likeliest wrong first.
select
    v.video_id,
    min(item.path) as path,
    issue.label,
    issue.suggested,
    issue.label_score,
    issue.suggested_score,
    issue.is_confident
from core.label_issue as issue
inner join core.collection as c on issue.collection_key = c.collection_key
inner join core.video as v on issue.video_key = v.video_key
inner join core.item as item
    on
        issue.collection_key = item.collection_key
        and issue.video_key = item.video_key
        and issue.label = item.label
where
    c.name = $collection
    and item.present
group by all
order by min(issue.rank)
