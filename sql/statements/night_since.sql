-- The last night that began at or after a time and completed.
select max(run_id) as run_id
from core.run
where
    kind = 'nightly'
    and started_at >= $moment
    and status in ('ok', 'no_champion', 'over_budget', 'degraded')
