-- One row per collection and present video: top-1 of the serving version.
create or replace view latest_predictions as
select
    collection.name as collection,
    top.path,
    video.video_id,
    label.label,
    top.score,
    top.model_version,
    top.predicted_at
from core.serving_prediction as top
inner join core.collection as collection on top.collection_key = collection.collection_key
inner join core.video as video on top.video_key = video.video_key
inner join core.label as label on top.label_key = label.label_key;

comment on view latest_predictions is
'One row per collection and present video: the top-1 of the version that serves the collection. Start here. Videos not yet scored are missing.';
comment on column latest_predictions.path is 'Path in the collection; the first one when it holds copies.';
comment on column latest_predictions.label is 'Label of the top-1.';
comment on column latest_predictions.score is 'Softmax probability of the label, 0 to 1.';
comment on column latest_predictions.model_version is 'Version that serves the collection.';
comment on column latest_predictions.predicted_at is 'When the prediction was written, UTC.';
