-- How fast was each kind of run, day by day?
select
    started_at::date as day,
    kind,
    count(*) as runs,
    sum(videos) as videos,
    sum(failed) as failed,
    round(sum(videos) / nullif(sum(seconds), 0), 2) as videos_per_s,
    round(sum(frames) / nullif(sum(seconds), 0), 1) as frames_per_s
from runs
where finished_at is not null
group by started_at::date, kind
order by day desc, kind asc;
