-- One row per collection, present video and label that holds, by the version that serves the collection.
create or replace view latest_labels as
select
    collection.name as collection,
    present.path,
    video.video_id,
    label.label,
    prediction.score,
    prediction.rank,
    prediction.model_version,
    prediction.predicted_at
from core.present_video as present
inner join core.collection_serving as serving on present.collection_key = serving.collection_key
inner join core.prediction as prediction
    on
        present.video_key = prediction.video_key
        and serving.model_version = prediction.model_version
inner join core.collection as collection on present.collection_key = collection.collection_key
inner join core.video as video on present.video_key = video.video_key
inner join core.label as label on prediction.label_key = label.label_key
where coalesce(prediction.over_threshold, prediction.rank = 1);

comment on view latest_labels is
'One row per collection, present video and label that holds: of a multi-label version each label over its threshold, and no row where none is; of any other version the top-1. A video in no row of latest_predictions is not scored yet.';
comment on column latest_labels.path is 'Path in the collection; the first one when it holds copies.';
comment on column latest_labels.label is 'A label that holds.';
comment on column latest_labels.score is 'Probability of the label, 0 to 1.';
comment on column latest_labels.rank is 'Of the label among all labels of the video, 1 is the best.';
comment on column latest_labels.model_version is 'Version that serves the collection.';
comment on column latest_labels.predicted_at is 'When the prediction was written, UTC.';
