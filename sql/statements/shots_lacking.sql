-- Present, readable videos of collections that are scored in shots, whose shots are not known.
select
    v.video_id,
    c.source,
    cv.path,
    cv.size_bytes,
    cv.mtime_ns,
    cv.inode,
    cv.ctime_ns,
    cv.etag,
    v.duration_s,
    coalesce(v.frames_expected, cast(least(v.duration_s * v.source_fps, 1e9) as bigint)) as frames_expected,
    coalesce(v.width_px * v.height_px, 0) as pixels,
    v.stream_index
from core.collection_video as cv
inner join core.collection as c on cv.collection_key = c.collection_key
inner join core.video as v on cv.video_key = v.video_key
where
    cv.present
    and c.window_s = 0
    and v.verdict in ('ok', 'partial', 'blank')
    and not exists (
        select 1
        from core.video_shots as known
        where known.video_key = v.video_key
    )
qualify
    row_number() over (partition by cv.video_key order by cv.etag is not null asc, cv.path asc) = 1
order by
    c.source asc,
    cv.path asc
