-- Where do two model versions contradict each other, and both are sure?
select
    collection,
    path,
    serving_version,
    serving_label,
    round(serving_score, 3) as serving_score,
    other_version,
    other_label,
    round(other_score, 3) as other_score
from model_disagreements
order by least(serving_score, other_score) desc, collection asc, path asc
limit 50;
