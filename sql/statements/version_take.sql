-- Assign a number to a version; collections that the previous owner of the number served serve none.
update core.version
set is_current = version_key = $version_key
where model_version = $model_version;

delete from core.collection_serving
where model_version = $model_version
