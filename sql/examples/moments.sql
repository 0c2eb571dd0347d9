-- When in a long video does each label show up? The best label of every window, in order of time.
select
    prediction.collection,
    prediction.path,
    moment.start_s,
    moment.end_s,
    moment.label,
    round(moment.score, 3) as score
from latest_predictions as prediction
inner join window_predictions as moment
    on
        prediction.video_id = moment.video_id
        and prediction.model_version = moment.model_version
where moment.rank = 1
order by prediction.collection, prediction.path, moment.start_s;
