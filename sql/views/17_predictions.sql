-- One row per video, model version and rank.
create or replace view predictions as
select
    video.video_id,
    model.model_name,
    prediction.model_version,
    feature_set.feature_set_id,
    prediction.rank,
    label.label,
    prediction.score,
    prediction.run_id,
    prediction.predicted_at,
    prediction.window_s,
    prediction.stride_s,
    prediction.over_threshold
from core.prediction as prediction
inner join core.video as video on prediction.video_key = video.video_key
inner join core.model as model on prediction.model_key = model.model_key
inner join core.feature_set as feature_set on prediction.feature_set_key = feature_set.feature_set_key
inner join core.label as label on prediction.label_key = label.label_key
-- Numbers below zero are of versions whose number now belongs to another version.
where prediction.model_version > 0;

comment on view predictions is
'One row per video, model version and rank: all predictions of all versions. Rank 1 is always there; of a multi-label version also every label over its threshold, however low its rank.';
comment on column predictions.model_version is 'Version of the registered model.';
comment on column predictions.feature_set_id is 'Hash of the feature spec that the model read.';
comment on column predictions.label is 'Class name.';
comment on column predictions.run_id is 'The run that wrote it.';
comment on column predictions.window_s is
'Length in seconds of the windows whose mean the score is; 0: shots; null where the video was scored as a whole.';
