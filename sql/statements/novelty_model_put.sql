insert into core.novelty_model (version_key, weights, videos, created_at)
select
    $version_key as version_key,
    $weights as weights,
    $videos as videos,
    $now as created_at
where not exists (select 1 from core.novelty_model as m where m.version_key = $version_key)
