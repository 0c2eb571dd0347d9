-- Which collections drift: on which days did what came in differ most from what the model was trained on?
select
    collection,
    day,
    videos,
    round(label_drift_from_training, 3) as label_drift_from_training,
    round(score_drift_from_training, 3) as score_drift_from_training,
    round(label_drift_from_recent, 3) as label_drift_from_recent,
    round(score_drift_from_recent, 3) as score_drift_from_recent
from drift
where label_drift_from_training is not null
order by greatest(label_drift_from_training, score_drift_from_training) desc, collection asc, day asc
limit 20;
