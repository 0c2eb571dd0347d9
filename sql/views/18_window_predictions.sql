-- One row per video, model version, window and rank.
create or replace view window_predictions as
select
    video.video_id,
    model.model_name,
    prediction.model_version,
    feature_set.feature_set_id,
    prediction.start_s,
    prediction.end_s,
    prediction.rank,
    label.label,
    prediction.score,
    prediction.run_id,
    prediction.predicted_at,
    prediction.over_threshold
from core.window_prediction as prediction
inner join core.video as video on prediction.video_key = video.video_key
inner join core.model as model on prediction.model_key = model.model_key
inner join core.feature_set as feature_set on prediction.feature_set_key = feature_set.feature_set_key
inner join core.label as label on prediction.label_key = label.label_key
where prediction.model_version > 0;

comment on view window_predictions is
'One row per video, model version, window and rank: predictions of a version for each window of a long video.';
comment on column window_predictions.model_version is 'Version of the registered model.';
comment on column window_predictions.feature_set_id is 'Hash of the feature spec that the model read.';
comment on column window_predictions.start_s is 'Start of the window in seconds, inclusive.';
comment on column window_predictions.end_s is 'End of the window in seconds, exclusive.';
comment on column window_predictions.label is 'Class name.';
comment on column window_predictions.run_id is 'The run that wrote it.';
