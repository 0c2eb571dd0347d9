-- One row per collection and night to which videos came: are they like those that the champion was trained on?
create or replace view feature_drift as
select
    c.name as collection,
    r.started_at::date as night,
    drift.run_id,
    v.model_version as version,
    drift.videos,
    drift.distance,
    drift.p_features,
    drift.p_recording,
    drift.statistic / 365 as e_value,
    drift.is_alarm as alarmed
from core.feature_drift as drift
inner join core.collection as c on drift.collection_key = c.collection_key
inner join core.version as v on drift.version_key = v.version_key
inner join core.run as r on drift.run_id = r.run_id;

comment on view feature_drift is
'One row per collection and night to which videos came: how far their features are from those that the champion was trained on, and the evidence that something changed. Looking every night makes no alarm likely: at most one year in twenty has a false one.';
comment on column feature_drift.night is 'Day (UTC) on which the night started.';
comment on column feature_drift.run_id is 'Number of the night''s run.';
comment on column feature_drift.version is 'The champion of that night.';
comment on column feature_drift.videos is
'Videos that came since the last night that was compared; ten are the fewest that are.';
comment on column feature_drift.distance is
'Between the means of the features, tonight and in training, root mean square over features, in standard deviations of the training, without what chance adds; null with few videos.';
comment on column feature_drift.p_features is
'P-value of the hypothesis that the features are like those before; null where there is too little to compare.';
comment on column feature_drift.p_recording is
'The same for frame rate, width and height.';
comment on column feature_drift.e_value is
'Evidence of a change since the promotion, or since the last alarm; 20 is an alarm.';
comment on column feature_drift.alarmed is
'True on the night that the evidence reached 20. It then begins anew, against the nights after.';
