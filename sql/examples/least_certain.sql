-- Which twenty videos should a person look at first?
select
    collection,
    path,
    label,
    round(score, 3) as score,
    runner_up_label,
    round(margin, 3) as margin
from low_confidence
order by margin, score, path
limit 20;
