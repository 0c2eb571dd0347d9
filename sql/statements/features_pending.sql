-- Present videos without features of this set; a known-bad, unchanged one only when it is due again. Of several
-- copies, a file is read rather than an object, which would have to be downloaded.
with done as (
    select vf.video_key
    from core.video_feature as vf
    inner join core.feature_set as fs on vf.feature_set_key = fs.feature_set_key
    where fs.feature_set_id = $feature_set_id
    union all
    -- Misreads of reader 1; the spec's field `reader` is omitted where it is 1.
    select f.video_key
    from core.failure as f
    cross join core.feature_set as fs
    where
        fs.feature_set_id = $feature_set_id
        and json_extract_string(fs.spec, '$.reader') is null
        and f.error_class = $misread
        and f.status = 'quarantined'
),

missing as materialized (  -- first, since few: a join with all videos takes memory that grows by the year
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
    anti join done on cv.video_key = done.video_key
    where
        cv.present
        and ($collection is null or c.name = $collection)
),

present as (
    select
        m.*,
        v.video_id,
        v.duration_s,
        coalesce(
            v.frames_expected, cast(least(v.duration_s * v.source_fps, 1e9) as bigint)
        ) as frames_expected,
        v.stream_index,
        v.width_px * v.height_px as pixels
    from missing as m
    inner join core.video as v on m.video_key = v.video_key
    where
        v.verdict is null
        or v.verdict in ('ok', 'partial', 'blank')
        or ($retry_failed and v.video_key in (
            select f.video_key
            from core.failure as f
            where
                f.stage = 'extract'
                and f.status = 'retry'
        ))
),

final as (
    select
        present.video_id,
        present.source,
        present.path,
        present.size_bytes,
        present.mtime_ns,
        present.inode,
        present.ctime_ns,
        present.etag,
        present.duration_s,
        present.frames_expected,
        coalesce(present.pixels, 0) as pixels,
        present.stream_index
    from present
    qualify
        row_number() over (
            partition by present.video_key order by present.etag is not null asc, present.path asc
        ) = 1
)

select *
from final
order by
    source asc,
    path asc
