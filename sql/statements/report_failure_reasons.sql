-- Unresolved failures of this time span, counted by reason.
select
    stage,
    error_class,
    count(*) as paths,
    count(*) filter (where status = 'quarantined') as quarantined,
    min(path) as example_path
from failures
where
    status <> 'resolved'
    and last_at between $since and $until
group by stage, error_class
order by paths desc, stage asc, error_class asc
