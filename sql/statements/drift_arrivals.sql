-- Videos with features that came to a collection since the version was promoted, or since the last night that was
-- compared; in the order of their hashes, which is random.
with promoted as (
    select max(decided_at) as promoted_at
    from core.promotion
    where
        to_version_key = $version_key
        and is_final
        and decision in ('promoted', 'forced', 'rolled_back', 'external')
),

told as (
    select
        collection_key,
        max(seen_until) as told_until
    from core.feature_drift
    where version_key = $version_key
    group by collection_key
),

fresh as (
    select
        cv.collection_key,
        cv.video_key,
        min(cv.first_seen_at) as first_seen_at
    from core.collection_video as cv
    left join told on cv.collection_key = told.collection_key
    where
        cv.present
        and cv.video_key is not null
        and cv.first_seen_at > (select promoted_at from promoted)
        and cv.first_seen_at > coalesce(told.told_until, '-infinity'::timestamp)
    group by
        cv.collection_key,
        cv.video_key
),

counted as (
    select
        fresh.collection_key,
        v.video_id,
        vf.part,
        vf.row_offset,
        vf.n_frames,
        coalesce(v.source_fps, 0) as source_fps,
        coalesce(v.display_width_px, v.width_px, 0) as width_px,
        coalesce(v.display_height_px, v.height_px, 0) as height_px,
        count(*) over (partition by fresh.collection_key) as videos,
        max(fresh.first_seen_at) over (partition by fresh.collection_key) as seen_until,
        row_number() over (partition by fresh.collection_key order by v.video_id) as place
    from fresh
    inner join core.video as v on fresh.video_key = v.video_key
    inner join core.video_feature as vf on fresh.video_key = vf.video_key
    inner join core.feature_set as fs on vf.feature_set_key = fs.feature_set_key
    where
        fs.feature_set_id = $feature_set_id
        and not exists (
            select 1
            from core.version_video as learnt
            where
                learnt.video_key = fresh.video_key
                and learnt.model_version = $model_version
                and learnt.split in ('train', 'val')
        )
)

select
    c.name as collection,
    counted.videos,
    counted.seen_until,
    counted.video_id,
    counted.part,
    counted.row_offset,
    counted.n_frames,
    counted.source_fps,
    counted.width_px,
    counted.height_px
from counted
inner join core.collection as c on counted.collection_key = c.collection_key
where counted.place <= $most
order by
    c.name asc,
    counted.part asc,
    counted.row_offset asc
