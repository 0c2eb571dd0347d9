-- The version that has a number now.
select
    v.version_key,
    v.model_name,
    v.digest
from core.version as v
where
    v.model_version = $model_version
    and v.is_current
