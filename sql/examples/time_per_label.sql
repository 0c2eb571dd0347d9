-- How much of its long videos does each collection spend on which label? Where windows overlap, so do their seconds.
select
    collection,
    label,
    count(*) as segments,
    count(distinct video_id) as videos,
    round(sum(end_s - start_s), 1) as seconds,
    round(sum(mean_score * windows) / sum(windows), 3) as mean_score
from timeline
group by collection, label
order by collection asc, seconds desc, label asc;
