select
    stage,
    error_class,
    status,
    count(*) as paths
from failures
where status <> 'resolved'
group by all
order by paths desc
