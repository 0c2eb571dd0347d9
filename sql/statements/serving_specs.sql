select fs.spec
from core.feature_set as fs
where
    fs.feature_set_key in (
        select p.feature_set_key
        from core.prediction as p
        where p.model_version in (select cs.model_version from core.collection_serving as cs)
    )
order by fs.feature_set_key asc
