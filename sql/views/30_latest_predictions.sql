-- One row per collection and present video: top-1 of the serving version.
create or replace view latest_predictions as
select
    collection.name as collection,
    top.path,
    video.video_id,
    label.label,
    top.score,
    top.model_version,
    top.predicted_at,
    top.novelty::double as novelty,
    top.novelty <= 1 as is_known
from core.serving_prediction as top
inner join core.collection as collection on top.collection_key = collection.collection_key
inner join core.video as video on top.video_key = video.video_key
inner join core.label as label on top.label_key = label.label_key;

comment on view latest_predictions is
'One row per collection and present video: the top-1 of the version that serves the collection. Start here. Videos not yet scored are missing.';
comment on column latest_predictions.path is 'Path in the collection; the first one when it holds copies.';
comment on column latest_predictions.label is 'Label of the top-1.';
comment on column latest_predictions.score is 'Probability of the label, 0 to 1: softmax, or of a multi-label version that of the label by itself.';
comment on column latest_predictions.model_version is 'Version that serves the collection.';
comment on column latest_predictions.predicted_at is 'When the prediction was written, UTC.';
comment on column latest_predictions.novelty is
'How unlike the video is to all that the version was trained on: above 1 more than 95 of 100 videos like those of the training; null for videos scored in windows, or before novelty was told.';
comment on column latest_predictions.is_known is
'False where novelty is above 1: the label is one of those that the version knows, and probably none of them is right.';
