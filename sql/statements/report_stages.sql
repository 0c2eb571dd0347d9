-- The run and, for a night, its stages: under its lease no other run ingests, extracts or classifies.
with told as (
    select
        run_id,
        kind,
        started_at,
        finished_at
    from runs
    where run_id = $run_id
)

select
    part.run_id,
    part.kind,
    part.status,
    part.started_at,
    part.seconds,
    part.videos,
    part.frames,
    part.failed,
    part.detail ->> '$.collection' as collection,
    try_cast(part.detail ->> '$.new' as bigint) as new_paths,
    try_cast(part.detail ->> '$.removed' as bigint) as removed_paths,
    part.videos / nullif(part.seconds, 0) as videos_per_s,
    part.frames / nullif(part.seconds, 0) as frames_per_s
from runs as part
cross join told
where
    part.run_id = told.run_id
    or (
        told.kind = 'nightly'
        and part.kind in ('ingest', 'extract', 'classify')
        and part.started_at >= told.started_at
        and part.finished_at <= told.finished_at
    )
order by part.run_id
