-- Insert a version's predictions on its own test split, the reference of drift.
delete from core.reference_prediction
where model_version = $model_version;

insert into core.reference_prediction (model_version, label_key, score_bin, videos)
select
    $model_version as model_version,
    l.label_key,
    given.score_bin,
    given.videos
from given
inner join core.label as l on given.label = l.label
