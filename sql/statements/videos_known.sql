-- The given videos that need no probe: healthy, or with a recorded failure. A waiting failure is that of one path,
-- not of the video that it held.
select
    v.video_id,
    f.stage,
    f.error_class,
    f.message
from core.video as v
inner join given on v.video_id = given.video_id
left join core.failure as f
    on
        v.video_key = f.video_key
        and f.status not in ('resolved', 'waiting')
where
    v.container is not null
    or (v.verdict is not null and not ($retry_failed and coalesce(f.status = 'retry', false)))
qualify row_number() over (partition by v.video_key order by f.last_at desc nulls last) = 1
