-- The run of a report: the given one, or the last night.
select
    run_id,
    kind,
    status,
    started_at,
    finished_at,
    seconds,
    videos,
    frames,
    failed,
    detail
from runs
where
    finished_at is not null
    and ($run_id = run_id or ($run_id is null and kind = 'nightly'))
order by run_id desc
limit 1
