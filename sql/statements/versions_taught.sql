-- Versions that were trained on a video, including those whose number now belongs to another version.
select distinct coalesce(version.model_version, vv.model_version) as model_version
from core.version_video as vv
inner join core.video as v on vv.video_key = v.video_key
left join core.version as version on vv.model_version = -version.version_key
where
    v.video_id = $video_id
    and vv.split in ('train', 'val')
order by model_version
