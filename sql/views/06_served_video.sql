-- One row per collection and present video: what is known of it, and what the version that serves says.
create or replace view core.served_video as
select
    present.collection_key,
    present.video_key,
    collection.name as collection,
    collection.source,
    coalesce(collection.multi_label, false) as multi_label,
    present.path,
    present.first_seen_at,
    video.video_id,
    video.bytes,
    video.container,
    video.video_codec,
    video.display_width_px,
    video.display_height_px,
    video.source_fps,
    video.duration_s,
    video.verdict,
    coalesce(item.recorded_at, video.recorded_at) as recorded_at,
    item.label as known_label,
    item.labels as known_labels,
    item.label_source,
    item.labelled_at,
    item.group_name,
    item.splits,
    item.attributes,
    label.label as predicted,
    top.score::double as score,
    top.novelty::double as novelty,
    top.model_version,
    top.predicted_at
from core.present_video as present
inner join core.collection as collection on present.collection_key = collection.collection_key
inner join core.video as video on present.video_key = video.video_key
inner join core.item as item
    on
        present.collection_key = item.collection_key
        and present.path = item.path
left join core.serving_prediction as top
    on
        present.collection_key = top.collection_key
        and present.video_key = top.video_key
left join core.label as label on top.label_key = label.label_key;

comment on view core.served_video is
'Internal: one row per collection and present video, with its facts, known label and top-1, if it is scored.';
comment on column core.served_video.collection is 'Name of the collection.';
comment on column core.served_video.source is 'Folder or URI that the videos come from.';
comment on column core.served_video.path is 'First path of the video in the collection.';
comment on column core.served_video.first_seen_at is 'When the first of its present paths was first listed, UTC.';
comment on column core.served_video.recorded_at is 'When the recording began, UTC.';
comment on column core.served_video.known_label is 'Known label, if any, or set of labels.';
comment on column core.served_video.known_labels is 'Known labels as a list; null without any.';
comment on column core.served_video.label_source is 'Where the label comes from.';
comment on column core.served_video.labelled_at is 'When a person gave it, UTC; null for a listed one.';
comment on column core.served_video.predicted is 'Label of the top-1; null where it is not scored.';
comment on column core.served_video.novelty is 'Above 1 the video is unlike the training; null where not known.';
comment on column core.served_video.model_version is 'Version that serves the collection.';
