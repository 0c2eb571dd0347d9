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
comment on column runs.kind is 'The verb that ran, such as ingest, extract, classify, nightly.';
comment on column runs.status is 'running, ok, failed, over_budget, no_champion, degraded or crashed.';
comment on column runs.started_at is 'When it started, UTC.';
comment on column runs.finished_at is 'When it ended, UTC; null while running.';
comment on column runs.videos is 'Videos that it worked on.';
comment on column runs.frames is 'Frames that it decoded.';
comment on column runs.failed is 'Videos that failed.';
comment on column runs.seconds is 'Wall-clock seconds.';
comment on column runs.frames_per_s is 'Frames that it decoded in a second, over the whole run.';
comment on column runs.read_bytes is 'Bytes of new or changed videos that it read to hash them.';
comment on column runs.written_bytes is 'Bytes of the feature parts that it wrote.';
comment on column runs.detail is 'More numbers of this kind of run, as JSON.';
