-- Runs that have not ended: at work now, or killed.
select
    run_id,
    kind
from core.run
where status = 'running'
order by run_id
