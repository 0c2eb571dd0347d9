-- Insert a version seen for the first time. Rows from before digests were recorded are taken as its own, unless
-- some are older than it; it takes its number, unless another version has that.
update core.version
set digest = $digest
where
    model_name = $model_name
    and model_version = $model_version
    and digest is null
    and not exists (
        select 1
        from core.prediction as p
        where
            p.model_version = if(core.version.is_current, $model_version, -core.version.version_key)
            and p.predicted_at < $created_at
    );

insert into core.version (version_key, model_name, model_version, digest, is_current)
select
    nextval('core.version_keys') as version_key,
    $model_name as model_name,
    $model_version as model_version,
    $digest as digest,
    not exists (
        select 1
        from core.version as v
        where
            v.model_version = $model_version
            and v.is_current
    ) as is_current
where
    not exists (
        select 1
        from core.version as v
        where
            v.model_name = $model_name
            and v.model_version = $model_version
            and v.digest = $digest
    )
