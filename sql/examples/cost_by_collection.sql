-- What does each collection cost: hours of video, disk, frames looked at, and seconds of extraction?
with frames_of_run as (
    select
        run_id,
        sum(n_frames) as frames
    from video_features
    group by run_id
),

-- A run's seconds, shared out by frames.
cost_of_frame as (
    select
        run.run_id,
        run.seconds / frames_of_run.frames as seconds
    from frames_of_run
    inner join runs as run on frames_of_run.run_id = run.run_id
),

extracted as (
    select
        media.collection,
        sum(feature.n_frames) as frames,
        sum(feature.n_frames * cost_of_frame.seconds) as seconds
    from media_quality as media
    inner join video_features as feature on media.video_id = feature.video_id
    left join cost_of_frame on feature.run_id = cost_of_frame.run_id
    group by media.collection
),

stored as (
    select
        collection,
        count(*) as videos,
        sum(duration_s) / 3600 as hours,
        sum(bytes) / 1e9 as gigabytes
    from media_quality
    group by collection
),

final as (
    select
        stored.collection,
        stored.videos,
        round(stored.hours, 2) as hours,
        round(stored.gigabytes, 3) as gigabytes,
        extracted.frames,
        round(extracted.seconds, 1) as extraction_s,
        round(extracted.seconds / nullif(stored.hours, 0), 1) as extraction_s_per_hour
    from stored
    left join extracted on stored.collection = extracted.collection
)

select * from final
order by extraction_s desc nulls last, collection asc;
