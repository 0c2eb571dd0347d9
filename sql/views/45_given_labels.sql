-- One row per collection, video and label that a person gave after ingest.
create or replace view given_labels as
select
    collection.name as collection,
    video.video_id,
    given.label,
    given.source,
    given.given_at
from core.given_label as given
inner join core.collection as collection on given.collection_key = collection.collection_key
inner join core.video as video on given.video_key = video.video_key;

comment on view given_labels is
'One row per collection, video and label that a person gave after ingest, corrected ones included: the newest holds.';
comment on column given_labels.label is 'The label that was given.';
comment on column given_labels.source is 'Who gave it, or the name of the file that it came in.';
