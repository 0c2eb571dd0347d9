-- One row per video and feature set.
create or replace view video_features as
select
    video.video_id,
    feature_set.feature_set_id,
    feature.n_frames,
    feature.part,
    feature.row_offset,
    feature.numerics,
    feature.run_id,
    feature.sampling
from core.video_feature as feature
inner join core.video as video on feature.video_key = video.video_key
inner join core.feature_set as feature_set on feature.feature_set_key = feature_set.feature_set_key;

comment on view video_features is
'One row per video and feature set whose features are complete.';
comment on column video_features.run_id is 'The run that committed it.';
comment on column video_features.sampling is
'Frames decoded to be sampled from: full, or keyframes alone (VIDPIPE_SAMPLING); full also where key frames are more than 2 s apart, or all frames are.';
