-- One row per collection and present video: the top-1 of the version that serves the collection.
create or replace view core.serving_prediction as
select
    present.collection_key,
    present.video_key,
    present.path,
    present.first_seen_at,
    prediction.label_key,
    prediction.score,
    prediction.model_version,
    prediction.predicted_at,
    video_novelty.novelty
from core.present_video as present
inner join core.collection_serving as serving on present.collection_key = serving.collection_key
inner join core.prediction as prediction
    on
        present.video_key = prediction.video_key
        and serving.model_version = prediction.model_version
left join core.version as version
    on
        serving.model_version = version.model_version
        and version.is_current
left join core.video_novelty as video_novelty
    on
        present.video_key = video_novelty.video_key
        and version.version_key = video_novelty.version_key
where prediction.rank = 1;

comment on view core.serving_prediction is
'Internal: latest_predictions with integer keys.';
comment on column core.serving_prediction.path is 'First path of the video in the collection.';
comment on column core.serving_prediction.first_seen_at is 'When the first of its present paths was first listed, UTC.';
comment on column core.serving_prediction.model_version is 'Version that serves the collection.';
comment on column core.serving_prediction.novelty is 'Above 1 the video is unlike the training; null where not known.';
