-- One row per collection, path and stage that went wrong.
create or replace view failures as
select
    collection.name as collection,
    failure.path,
    video.video_id,
    failure.stage,
    failure.error_class,
    failure.message,
    failure.attempts,
    failure.status,
    failure.first_at,
    failure.last_at
from core.failure as failure
inner join core.collection as collection on failure.collection_key = collection.collection_key
left join core.video as video on failure.video_key = video.video_key;

comment on view failures is
'One row per collection, path and stage that went wrong; status says whether it still matters.';
comment on column failures.path is 'Path of the file, relative to the collection''s source.';
comment on column failures.video_id is 'SHA-256 of the file''s bytes; null when the file could not be hashed, and at stage describe.';
comment on column failures.status is 'retry, waiting (the file still changes; the next night reads it), quarantined or resolved.';
