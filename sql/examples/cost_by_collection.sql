-- What does each collection cost: hours of video, disk, frames looked at, and seconds of extraction?
with frames_of_run as (
    select
        run_id,
        sum(n_frames) as frames
    from video_features
    group by run_id
),

-- A run's seconds, shared out by frames.
cost_of_video as (
    select
        feature.video_id,
        sum(feature.n_frames) as frames,
        sum(feature.n_frames * run.seconds / frames_of_run.frames) as seconds
    from video_features as feature
    inner join frames_of_run on feature.run_id = frames_of_run.run_id
    left join runs as run on feature.run_id = run.run_id
    group by feature.video_id
),

member as (
    select distinct
        collection,
        video_id
    from collection_videos
    where present and video_id is not null
),

final as (
    select
        member.collection,
        count(*) as videos,
        round(sum(video.duration_s) / 3600, 2) as hours,
        round(sum(video.bytes) / 1e9, 3) as gigabytes,
        sum(cost.frames) as frames,
        round(sum(cost.seconds), 1) as extraction_s,
        round(sum(cost.seconds) / nullif(sum(video.duration_s) / 3600, 0), 1) as extraction_s_per_hour
    from member
    inner join videos as video on member.video_id = video.video_id
    left join cost_of_video as cost on member.video_id = cost.video_id
    group by member.collection
)

select * from final
order by extraction_s desc nulls last, collection asc;
