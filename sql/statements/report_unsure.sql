-- The least sure answers of these runs, with the video's location: the lowest top-1 scores, with the runner-up, and of
-- multi-label versions the label that is nearest to neither there nor not there.
with classified as materialized (  -- first, since few: joins of all videos take memory that grows by the year
    select
        video_id,
        model_version,
        rank,
        label,
        score,
        over_threshold
    from predictions
    where
        list_contains($run_ids, run_id)
        and (rank <= 2 or over_threshold is not null)
),

lowest as materialized (
    select
        *,
        if(over_threshold is null, score, greatest(score, 1 - score)) as sureness
    from classified
    where
        rank = 1
        or over_threshold is not null
    qualify row_number() over (partition by video_id, model_version order by sureness asc, rank asc) = 1
    order by sureness asc, video_id asc
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
    lowest.over_threshold,
    runner_up.label as runner_up_label,
    runner_up.score as runner_up_score
from lowest
inner join collection_videos as item on lowest.video_id = item.video_id
inner join collections on item.collection = collections.collection
inner join core.collection as owner on item.collection = owner.name
inner join core.collection_video as file
    on owner.collection_key = file.collection_key and item.path = file.path
inner join videos as video on lowest.video_id = video.video_id
left join classified as runner_up
    on
        lowest.video_id = runner_up.video_id
        and lowest.model_version = runner_up.model_version
        and lowest.over_threshold is null
        and runner_up.rank = 2
where item.present
qualify
    row_number() over (
        partition by lowest.video_id order by item.collection asc, item.path asc, lowest.model_version desc
    ) = 1
order by lowest.sureness asc, item.collection asc, item.path asc
limit $most
