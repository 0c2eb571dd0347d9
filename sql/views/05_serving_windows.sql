-- One row per collection, present video, window and rank: predictions of the serving version.
create or replace view core.serving_window as
select
    collection.name as collection,
    present.path,
    video.video_id,
    prediction.start_s,
    prediction.end_s,
    coalesce(listed.recorded_at, video.recorded_at) as recorded_at,
    prediction.rank,
    label.label,
    prediction.score,
    prediction.over_threshold,
    prediction.model_version,
    prediction.predicted_at
from core.present_video as present
inner join core.collection_serving as serving on present.collection_key = serving.collection_key
inner join core.window_prediction as prediction
    on
        present.video_key = prediction.video_key
        and serving.model_version = prediction.model_version
inner join core.collection_video as listed
    on
        present.collection_key = listed.collection_key
        and present.path = listed.path
inner join core.collection as collection on present.collection_key = collection.collection_key
inner join core.video as video on present.video_key = video.video_key
inner join core.label as label on prediction.label_key = label.label_key;

comment on view core.serving_window is
'Internal: one row per collection, present video, window and rank of the version that serves the collection.';
comment on column core.serving_window.path is 'Path in the collection; the first one when it holds copies.';
comment on column core.serving_window.start_s is 'Start of the window in seconds, inclusive.';
comment on column core.serving_window.end_s is 'End of the window in seconds, exclusive.';
comment on column core.serving_window.recorded_at is 'When the recording began, UTC.';
comment on column core.serving_window.label is 'The label.';
comment on column core.serving_window.model_version is 'Version that serves the collection.';
