-- Videos that these runs scored in more than one window with the serving version, the longest first.
with told as (
    select
        top.collection,
        top.path,
        top.video_id,
        top.label,
        top.score,
        video.duration_s
    from predictions as scored
    inner join latest_predictions as top
        on
            scored.video_id = top.video_id
            and scored.model_version = top.model_version
    inner join videos as video on scored.video_id = video.video_id
    where
        scored.rank = 1
        and list_contains($run_ids, scored.run_id)
        and video.duration_s > scored.window_s
    qualify row_number() over (partition by scored.video_id order by top.collection asc, top.path asc) = 1
)

select
    *,
    count(*) over () as videos
from told
order by duration_s desc, collection asc, path asc
limit $most
