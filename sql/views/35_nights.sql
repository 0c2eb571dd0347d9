-- One row per nightly run.
create or replace view nights as
select
    run_id,
    started_at::date as night,
    status,
    case when status <> 'running' then status in ('ok', 'no_champion', 'degraded') end as ok,
    started_at,
    finished_at,
    seconds,
    try_cast(detail ->> '$.ingested' as bigint) as ingested,
    try_cast(detail ->> '$.extracted' as bigint) as extracted,
    try_cast(detail ->> '$.classified' as bigint) as classified,
    failed,
    try_cast(detail ->> '$.stage_seconds.ingest' as double) as ingest_s,
    try_cast(detail ->> '$.stage_seconds.extract' as double) as extract_s,
    try_cast(detail ->> '$.stage_seconds.classify' as double) as classify_s,
    detail
from core.run
where kind = 'nightly';

comment on view nights is
'One row per nightly run: did it go well, and what did it do.';
comment on column nights.run_id is 'Number of the run.';
comment on column nights.night is 'Day (UTC) on which the night started.';
comment on column nights.ok is 'True when the night exited 0 (ok, no_champion or degraded); null while running.';
comment on column nights.ingested is 'Videos ingested.';
comment on column nights.extracted is 'Videos whose features were extracted.';
comment on column nights.classified is 'Videos classified.';
comment on column nights.ingest_s is 'Seconds that listing, hashing and probing took.';
comment on column nights.extract_s is 'Seconds that extraction took.';
comment on column nights.classify_s is 'Seconds that the scoring by the champion took.';
