-- One row per day, collection and label: labels that hold by the serving version.
create or replace view label_daily as
select
    predicted_at::date as day,
    collection,
    label,
    count(*) as videos,
    avg(score) as mean_score
from latest_labels
group by predicted_at::date, collection, label;

comment on view label_daily is
'One row per day, collection and label: how many present videos were given the label that day, and how surely. A multi-label version gives a video each label over its threshold, any other the top-1.';
comment on column label_daily.day is 'Day (UTC) on which the prediction was written.';
comment on column label_daily.label is 'A label that holds, as in latest_labels.';
comment on column label_daily.videos is 'Present videos with this label.';
comment on column label_daily.mean_score is 'Mean score of the label among them.';
