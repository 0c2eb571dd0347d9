-- A version gets its number; whichever collections the one before it serves, serve nothing.
update core.version
set is_current = version_key = $version_key
where model_version = $model_version;

delete from core.collection_serving
where model_version = $model_version
