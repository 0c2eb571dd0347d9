-- One row per collection and present video whose label disagrees with out-of-fold scores, the likeliest wrong first.
create or replace view label_issues as
select
    collection.name as collection,
    item.path,
    video.video_id,
    issue.rank,
    issue.label,
    issue.suggested,
    issue.label_score,
    issue.suggested_score,
    issue.is_confident,
    label_check.checked_at
from core.label_issue as issue
inner join core.label_check as label_check on issue.collection_key = label_check.collection_key
inner join core.collection as collection on issue.collection_key = collection.collection_key
inner join core.video as video on issue.video_key = video.video_key
inner join core.item as item
    on
        issue.collection_key = item.collection_key
        and issue.video_key = item.video_key
        and issue.label = item.label
where item.present;

comment on view label_issues is
'One row per collection and present path whose label disagrees with out-of-fold scores, by the last vidpipe label-issues. A label that has been changed since is no longer here.';
comment on column label_issues.path is 'Path of the file, relative to the collection''s source.';
comment on column label_issues.rank is '1 is the likeliest wrong of its collection.';
comment on column label_issues.label is 'The label that it has.';
comment on column label_issues.label_score is
'Score of its own label, 0 to 1, by a model that has seen neither the video nor its group.';
comment on column label_issues.suggested_score is 'Score of the suggested label, by the same model.';
comment on column label_issues.is_confident is
'True where the suggested label scores at least as high as it does on average for videos that have it.';
comment on column label_issues.checked_at is 'When label-issues was run, UTC.';
