-- Videos of a version's training that nights are compared with.
select
    v.video_id,
    dv.features,
    coalesce(v.source_fps, 0) as source_fps,
    coalesce(v.display_width_px, v.width_px, 0) as width_px,
    coalesce(v.display_height_px, v.height_px, 0) as height_px
from core.drift_video as dv
inner join core.video as v on dv.video_key = v.video_key
where
    dv.version_key = $version_key
    and dv.collection_key is null
order by v.video_id
