insert into core.feature_set (feature_set_key, feature_set_id, spec, created_at)
select
    nextval('core.feature_set_keys') as feature_set_key,
    $feature_set_id as feature_set_id,
    $spec as spec,
    $now as created_at
where not exists (select 1 from core.feature_set as fs where fs.feature_set_id = $feature_set_id)
