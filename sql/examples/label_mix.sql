-- What is in each collection? Share and mean score of every label.
select
    collection,
    label,
    count(*) as videos,
    round(count(*) / sum(count(*)) over (partition by collection), 3) as share,
    round(avg(score), 3) as mean_score
from latest_predictions
group by collection, label
order by collection asc, videos desc, label asc;
