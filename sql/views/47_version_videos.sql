-- One row per version, video and split that the version was made with.
create or replace view version_videos as
select
    version.model_version,
    video.video_id,
    version.split
from core.version_video as version
inner join core.video as video on version.video_key = video.video_key
where version.model_version > 0;

comment on view version_videos is
'One row per version, video and split that the version was trained with; no version is evaluated on its training videos.';
comment on column version_videos.model_version is 'Version of the registered model.';
comment on column version_videos.split is
'train: used for training it, or the version that it was warm-started from; val: for choosing the epoch; test: for its test scores.';
