-- What keeps failing, how often was it tried, and what did the decoder say?
select
    collection,
    path,
    stage,
    error_class,
    attempts,
    status,
    date_diff('day', first_at, last_at) as days,
    message
from failures
where status <> 'resolved'
order by attempts desc, first_at asc, collection asc, path asc
limit 50;
