-- Runs that have not ended: running, or killed.
select
    run_id,
    kind
from core.run
where status = 'running'
order by run_id
