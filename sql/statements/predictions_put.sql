-- Insert predictions; a video that this version has scored already keeps its rows.
insert into core.prediction (
    video_key, model_key, model_version, feature_set_key, rank, label_key, score, run_id, predicted_at, window_s,
    stride_s, over_threshold
)
select
    v.video_key,
    m.model_key,
    $model_version as model_version,
    fs.feature_set_key,
    given.rank,
    l.label_key,
    given.score,
    $run_id as run_id,
    $now as predicted_at,
    given.window_s,
    given.stride_s,
    given.over_threshold
from given
inner join core.video as v on given.video_id = v.video_id
inner join core.label as l on given.label = l.label
inner join core.model as m on m.model_name = $model_name
inner join core.feature_set as fs on fs.feature_set_id = $feature_set_id
where not exists (
    select 1
    from core.prediction as p
    where
        p.video_key = v.video_key
        and p.model_version = $model_version
        and p.feature_set_key = fs.feature_set_key
)
