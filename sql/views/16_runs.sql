-- One row per pass of a verb.
create or replace view runs as
select
    run_id,
    kind,
    status,
    started_at,
    finished_at,
    videos,
    frames,
    failed,
    seconds,
    frames / nullif(seconds, 0) as frames_per_s,
    try_cast(detail ->> '$.read_bytes' as bigint) as read_bytes,
    try_cast(detail ->> '$.written_bytes' as bigint) as written_bytes,
    detail
from core.run;

comment on view runs is
'One row per pass of a verb.';
comment on column runs.run_id is 'Number of the run.';
comment on column runs.videos is 'Videos that it worked on.';
comment on column runs.frames_per_s is 'Frames that it decoded in a second, over the whole run.';
comment on column runs.read_bytes is 'Bytes of new or changed videos that it read to hash them.';
comment on column runs.written_bytes is 'Bytes of the feature parts that it wrote.';
