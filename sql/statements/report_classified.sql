-- What these runs classified, by collection and version. A video of two collections counts in both.
with classified as materialized (  -- first, since few: joins of all videos take memory that grows by the year
    select
        video_id,
        label,
        score,
        model_version
    from predictions
    where
        rank = 1
        and list_contains($run_ids, run_id)
),

member as (
    select distinct
        collection,
        video_id
    from collection_videos
    where video_id in (select classified.video_id from classified)
)

select
    member.collection,
    classified.model_version,
    count(*) as videos,
    count(distinct classified.label) as labels,
    avg(classified.score) as mean_score,
    count(*) filter (where classified.score < 0.6) as unsure,
    count(*) filter (where not latest.is_known) as unknown
from classified
inner join member on classified.video_id = member.video_id
left join latest_predictions as latest
    on
        member.collection = latest.collection
        and classified.video_id = latest.video_id
        and classified.model_version = latest.model_version
group by member.collection, classified.model_version
order by member.collection, classified.model_version
