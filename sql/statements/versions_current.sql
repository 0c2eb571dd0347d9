-- Known digests of current versions.
select
    v.model_version,
    v.digest
from core.version as v
where
    v.is_current
    and v.digest is not null
order by v.model_version
