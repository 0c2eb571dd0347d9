-- One row per collection and present video whose top-1 scores below 0.6.
create or replace view low_confidence as
select
    collection.name as collection,
    top.path,
    video.video_id,
    label.label,
    top.score,
    runner_up_label.label as runner_up_label,
    runner_up.score as runner_up_score,
    top.score - runner_up.score as margin,
    top.model_version,
    top.predicted_at
from core.serving_prediction as top
inner join core.collection as collection on top.collection_key = collection.collection_key
inner join core.video as video on top.video_key = video.video_key
inner join core.label as label on top.label_key = label.label_key
left join core.prediction as runner_up
    on
        top.video_key = runner_up.video_key
        and top.model_version = runner_up.model_version
        and runner_up.rank = 2
left join core.label as runner_up_label on runner_up.label_key = runner_up_label.label_key
where top.score < 0.6;

comment on view low_confidence is
'One row per collection and present video whose top-1 scores below 0.6, with the runner-up: what to look at first.';
comment on column low_confidence.path is 'Path in the collection; the first one when it holds copies.';
comment on column low_confidence.label is 'Label of the top-1.';
comment on column low_confidence.score is 'Softmax probability of the label, 0 to 1.';
comment on column low_confidence.runner_up_label is 'Label of rank 2.';
comment on column low_confidence.runner_up_score is 'Score of rank 2.';
comment on column low_confidence.margin is 'Score minus runner-up score; near 0 the two are level.';
comment on column low_confidence.model_version is 'Version that serves the collection.';
comment on column low_confidence.predicted_at is 'When the prediction was written, UTC.';
