-- One row per collection and path.
create or replace view collection_videos as
select
    collection.name as collection,
    item.path,
    video.video_id,
    item.label,
    item.labels,
    item.label_source,
    item.labelled_at,
    item.group_name,
    item.splits,
    item.attributes,
    coalesce(item.recorded_at, video.recorded_at) as recorded_at,
    coalesce(
        item.recorded_at_source, case when video.recorded_at is not null then 'container' end
    ) as recorded_at_source,
    item.present,
    item.etag,
    item.first_seen_at,
    item.last_seen_at
from core.item as item
inner join core.collection as collection on item.collection_key = collection.collection_key
left join core.video as video on item.video_key = video.video_key;

comment on view collection_videos is
'One row per collection and path, with what the manifest says of it. Absent paths stay, with present = false.';
comment on column collection_videos.path is 'Path of the file, relative to the collection''s source.';
comment on column collection_videos.video_id is
'SHA-256 of the file''s bytes; null while the file could not be read.';
comment on column collection_videos.label is
'Known label, if any; of a multi-label collection its labels, sorted by name, with a bar between two: crowd|rain.';
comment on column collection_videos.labels is 'Known labels as a list, to unnest: one, but in a multi-label collection.';
comment on column collection_videos.label_source is
'Where it comes from: manifest, folder, or who or what file gave it later; null without a label.';
comment on column collection_videos.labelled_at is
'When it was given later, UTC; null for one from the manifest or the folder.';
comment on column collection_videos.attributes is
'Every other column of the manifest to its value: attributes[''camera'']; names are in lower case.';
comment on column collection_videos.recorded_at is
'When the recording began, UTC: of the manifest''s column recorded_at, else the file''s name, else the container. A time without a zone is taken in the collection''s time zone.';
comment on column collection_videos.recorded_at_source is
'Where that comes from: manifest, name or container; null without a time.';
