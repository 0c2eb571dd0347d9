-- Present, readable videos of collections that are scored in shots, whose shots are not known.
with wanted as materialized (  -- few or none, and known first: a join with all videos takes memory that grows by the year
    select
        cv.video_key,
        c.source,
        cv.path,
        cv.size_bytes,
        cv.mtime_ns,
        cv.inode,
        cv.ctime_ns,
        cv.etag
    from core.collection_video as cv
    inner join core.collection as c on cv.collection_key = c.collection_key
    where
        cv.present
        and c.window_s = 0
        and not exists (
            select 1
            from core.video_shots as known
            where known.video_key = cv.video_key
        )
)

select
    v.video_id,
    w.source,
    w.path,
    w.size_bytes,
    w.mtime_ns,
    w.inode,
    w.ctime_ns,
    w.etag,
    v.duration_s,
    coalesce(v.frames_expected, cast(least(v.duration_s * v.source_fps, 1e9) as bigint)) as frames_expected,
    coalesce(v.width_px * v.height_px, 0) as pixels,
    v.stream_index
from wanted as w
inner join core.video as v on w.video_key = v.video_key
where v.verdict in ('ok', 'partial', 'blank')
qualify
    row_number() over (partition by w.video_key order by w.etag is not null asc, w.path asc) = 1
order by
    w.source asc,
    w.path asc
