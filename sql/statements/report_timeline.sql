-- Segments of these videos, in order of time.
select *
from timeline
where list_contains($video_ids, video_id)
order by collection, path, start_s
