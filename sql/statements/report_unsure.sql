-- The lowest top-1 scores of these runs, with the runner-up and the video's location.
with lowest as (
    select
        video_id,
        model_version,
        label,
        score
    from predictions
    where rank = 1 and list_contains($run_ids, run_id)
    order by score asc, video_id asc
    limit $most * 4
)

select
    item.collection,
    item.path,
    item.video_id,
    collections.source,
    item.etag,
    file.size_bytes,
    file.mtime_ns,
    file.inode,
    file.ctime_ns,
    video.duration_s,
    lowest.model_version,
    lowest.label,
    lowest.score,
    runner_up.label as runner_up_label,
    runner_up.score as runner_up_score
from lowest
inner join collection_videos as item on lowest.video_id = item.video_id
inner join collections on item.collection = collections.collection
inner join core.collection as owner on item.collection = owner.name
inner join core.collection_video as file
    on owner.collection_key = file.collection_key and item.path = file.path
inner join videos as video on lowest.video_id = video.video_id
left join predictions as runner_up
    on
        lowest.video_id = runner_up.video_id
        and lowest.model_version = runner_up.model_version
        and runner_up.rank = 2
where item.present
qualify
    row_number() over (
        partition by lowest.video_id order by item.collection asc, item.path asc, lowest.model_version desc
    ) = 1
order by lowest.score asc, item.collection asc, item.path asc
limit $most
