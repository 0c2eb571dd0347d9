-- One row per day, collection and label: predictions of the serving version.
create or replace view label_daily as
select
    predicted_at::date as day,
    collection,
    label,
    count(*) as videos,
    avg(score) as mean_score
from latest_predictions
group by predicted_at::date, collection, label;

comment on view label_daily is
'One row per day, collection and label: how many present videos were given the label that day, and how surely.';
comment on column label_daily.day is 'Day (UTC) on which the prediction was written.';
comment on column label_daily.label is 'Label of the top-1.';
comment on column label_daily.videos is 'Present videos with this label.';
comment on column label_daily.mean_score is 'Mean score of their top-1.';
