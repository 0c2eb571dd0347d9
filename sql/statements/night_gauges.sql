-- The last night that has ended, when one went well, and the champion: for `metrics.prom`.
select
    status,
    coalesce(ingested, 0) as ingested,
    coalesce(extracted, 0) as extracted,
    coalesce(classified, 0) as classified,
    failed,
    seconds,
    epoch(finished_at) as finished_s,
    (select epoch(max(good.finished_at)) from nights as good where good.ok) as good_s,
    champion_as_of('infinity'::timestamp) as champion_version
from nights
where finished_at is not null
order by run_id desc
limit 1
