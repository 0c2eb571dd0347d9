-- Digests of the versions that have their numbers, where they are known.
select
    v.model_version,
    v.digest
from core.version as v
where
    v.is_current
    and v.digest is not null
order by v.model_version
