-- One row per time span of a video that the manifest labels.
create or replace view labelled_spans as
select
    collection.name as collection,
    listed.path,
    video.video_id,
    part.start_s,
    part.end_s,
    part.label
from core.labelled_span as part
inner join core.collection as collection on part.collection_key = collection.collection_key
inner join core.collection_video as listed
    on
        part.collection_key = listed.collection_key
        and part.path = listed.path
left join core.video as video on listed.video_key = video.video_key;

comment on view labelled_spans is
'One row per part of a video that the manifest labels (start_s, end_s, label); each is one example to learn from.';
comment on column labelled_spans.path is 'Path of the file, relative to the collection''s source.';
comment on column labelled_spans.video_id is
'SHA-256 of the file''s bytes: the identity of the video; null while the file could not be read.';
comment on column labelled_spans.start_s is 'Start of the part in seconds, inclusive.';
comment on column labelled_spans.end_s is 'End of the part in seconds, exclusive.';
comment on column labelled_spans.label is 'Its label.';
