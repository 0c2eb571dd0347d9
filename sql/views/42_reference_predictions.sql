-- One row per version, label and tenth of the score: its predictions on its own test split.
create or replace view reference_predictions as
select
    reference.model_version,
    label.label,
    reference.score_bin / 10 as score_from,
    reference.videos
from core.reference_prediction as reference
inner join core.label as label on reference.label_key = label.label_key
where reference.model_version > 0;

comment on view reference_predictions is
'One row per version, label and tenth of the score: predictions of the version on its own test split, the reference of drift.';
comment on column reference_predictions.model_version is 'Version of the registered model.';
comment on column reference_predictions.label is 'Label of the top-1.';
comment on column reference_predictions.score_from is 'Lower end of the tenth that the score lies in.';
comment on column reference_predictions.videos is 'Test videos answered so.';
