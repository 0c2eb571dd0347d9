insert into core.model (model_key, model_name)
select
    nextval('core.model_keys') as model_key,
    $model_name as model_name
where not exists (select 1 from core.model as m where m.model_name = $model_name)
