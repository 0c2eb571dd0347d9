-- Move all rows of a version from one number (or negated key) to another.
update core.prediction
set model_version = $target
where model_version = $source;

update core.window_prediction
set model_version = $target
where model_version = $source;

update core.reference_prediction
set model_version = $target
where model_version = $source;

update core.version_video
set model_version = $target
where model_version = $source
