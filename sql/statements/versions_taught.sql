-- Versions that a video was used to train.
select distinct vv.model_version
from core.version_video as vv
inner join core.video as v on vv.video_key = v.video_key
where
    v.video_id = $video_id
    and vv.split in ('train', 'val')
order by vv.model_version
