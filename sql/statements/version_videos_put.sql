-- Insert the videos of a version's split, and those of the version that it was warm-started from.
delete from core.version_video
where model_version = $model_version;

insert into core.version_video (model_version, video_key, split)
select
    $model_version as model_version,
    v.video_key,
    given.split
from given
inner join core.video as v on given.video_id = v.video_id
union distinct
select
    $model_version as model_version,
    earlier.video_key,
    'train' as split
from core.version_video as earlier
where
    earlier.model_version = $warm_start
    and earlier.split in ('train', 'val')
