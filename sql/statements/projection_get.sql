select
    p.sha256,
    p.weights
from core.projection as p
inner join core.feature_set as fs on p.feature_set_key = fs.feature_set_key
where fs.feature_set_id = $feature_set_id
