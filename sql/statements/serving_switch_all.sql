update core.collection_serving
set
    model_version = $model_version,
    since = $now
where model_version <> $model_version
