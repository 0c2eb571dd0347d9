-- Window length and stride of a video, and its shots; no row where it is scored as a whole.
select
    wanted.window_s,
    wanted.stride_s,
    wanted.starts_s
from core.wanted_windows as wanted
inner join core.video as v on wanted.video_key = v.video_key
where v.video_id = $video_id
