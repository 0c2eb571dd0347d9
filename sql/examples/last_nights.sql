-- How did the last thirty nights go?
select
    night,
    status,
    ok,
    ingested,
    extracted,
    classified,
    failed,
    round(seconds / 60, 1) as minutes
from nights
order by started_at desc
limit 30;
