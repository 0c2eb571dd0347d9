-- Materialise in the read-only snapshot the relations that most views begin with, sorted by the usual filters.
create table core.present_video_once as
select
    collection_key,
    video_key,
    path,
    first_seen_at
from core.present_video
order by collection_key, video_key;
drop view core.present_video;
alter table core.present_video_once rename to present_video;

comment on table core.present_video is
'Internal: one row per collection and present video, copies folded into one.';
comment on column core.present_video.collection_key is 'The collection.';
comment on column core.present_video.video_key is 'The video.';
comment on column core.present_video.path is 'First path of the video in the collection.';
comment on column core.present_video.first_seen_at is 'When the first of its present paths was first listed, UTC.';

create table core.serving_prediction_once as
select
    collection_key,
    video_key,
    path,
    first_seen_at,
    label_key,
    score,
    model_version,
    predicted_at
from core.serving_prediction
order by collection_key, video_key;
drop view core.serving_prediction;
alter table core.serving_prediction_once rename to serving_prediction;

comment on table core.serving_prediction is
'Internal: latest_predictions with integer keys.';
comment on column core.serving_prediction.collection_key is 'The collection.';
comment on column core.serving_prediction.video_key is 'The video.';
comment on column core.serving_prediction.path is 'First path of the video in the collection.';
comment on column core.serving_prediction.first_seen_at is 'When the first of its present paths was first listed, UTC.';
comment on column core.serving_prediction.label_key is 'The label.';
comment on column core.serving_prediction.score is 'Softmax probability, 0 to 1.';
comment on column core.serving_prediction.model_version is 'Version that serves the collection.';
comment on column core.serving_prediction.predicted_at is 'When it was written, UTC.';
