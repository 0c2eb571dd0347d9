-- Segments of one long video in a collection, in order of time.
select
    start_s,
    end_s,
    label,
    peak_score::double as peak_score,
    mean_score::double as mean_score,
    start_at
from timeline
where
    collection = $collection
    and video_id = $video_id
order by start_s, end_s
