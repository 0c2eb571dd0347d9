select v.video_id
from core.video as v
where starts_with(v.video_id, $prefix)
order by v.video_id
limit 2
