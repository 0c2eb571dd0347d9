-- Record where a video's shots begin; what is known stays.
insert into core.video_shots (video_key, starts_s)
select
    v.video_key,
    $starts_s as starts_s
from core.video as v
where
    v.video_id = $video_id
    and v.forgotten_at is null
    and not exists (
        select 1
        from core.video_shots as known
        where known.video_key = v.video_key
    )
