-- Replace what nights are compared with by the given videos of a version's training.
delete from core.drift_video;

insert into core.drift_video (version_key, collection_key, run_id, video_key, features)
select
    $version_key as version_key,
    null as collection_key,
    0 as run_id,
    v.video_key,
    given.features
from given
inner join core.video as v on given.video_id = v.video_id
