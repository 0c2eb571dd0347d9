-- Unresolved failures of this time span, newest first.
select
    collection,
    path,
    stage,
    error_class,
    message,
    attempts,
    status
from failures
where
    status <> 'resolved'
    and last_at between $since and $until
order by last_at desc, collection asc, path asc, stage asc
limit $most
