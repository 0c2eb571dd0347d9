select
    v.version_key,
    v.is_current
from core.version as v
where
    v.model_name = $model_name
    and v.model_version = $model_version
    and v.digest = $digest
