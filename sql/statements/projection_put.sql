-- A feature set has one projection, for good: vectors of two would not compare.
insert into core.projection (feature_set_key, sha256, weights, videos, created_at)
select
    fs.feature_set_key,
    $sha256 as sha256,
    $weights as weights,
    $videos as videos,
    $now as created_at
from core.feature_set as fs
where
    fs.feature_set_id = $feature_set_id
    and not exists (select 1 from core.projection as p where p.feature_set_key = fs.feature_set_key)
