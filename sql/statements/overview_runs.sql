select
    run_id,
    kind,
    status,
    started_at,
    seconds,
    videos,
    frames,
    failed
from runs
order by run_id desc
limit 10
