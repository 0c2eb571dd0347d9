-- One row per collection, present video and version whose top-1 is not that of the serving version.
create or replace view model_disagreements as
select
    collection.name as collection,
    top.path,
    video.video_id,
    top.model_version as serving_version,
    label.label as serving_label,
    top.score as serving_score,
    other.model_version as other_version,
    other_label.label as other_label,
    other.score as other_score
from core.serving_prediction as top
inner join core.prediction as other
    on
        top.video_key = other.video_key
        and top.model_version <> other.model_version
        and top.label_key <> other.label_key
inner join core.collection as collection on top.collection_key = collection.collection_key
inner join core.video as video on top.video_key = video.video_key
inner join core.label as label on top.label_key = label.label_key
inner join core.label as other_label on other.label_key = other_label.label_key
where
    other.rank = 1
    and other.model_version > 0;

comment on view model_disagreements is
'One row per collection, present video and version whose top-1 is not that of the serving version.';
comment on column model_disagreements.path is 'Path in the collection; the first one when it holds copies.';
comment on column model_disagreements.serving_label is 'Its top-1.';
comment on column model_disagreements.serving_score is 'Score of its top-1.';
comment on column model_disagreements.other_version is 'Another version that scored the video.';
comment on column model_disagreements.other_label is 'Its top-1.';
comment on column model_disagreements.other_score is 'Score of its top-1.';
