-- What these runs classified, by collection and version. A video of two collections counts in both.
with member as (
    select distinct
        collection,
        video_id
    from collection_videos
    where video_id is not null
)

select
    member.collection,
    prediction.model_version,
    count(*) as videos,
    count(distinct prediction.label) as labels,
    avg(prediction.score) as mean_score,
    count(*) filter (where prediction.score < 0.6) as unsure,
    count(*) filter (where not latest.is_known) as unknown
from predictions as prediction
inner join member on prediction.video_id = member.video_id
left join latest_predictions as latest
    on
        member.collection = latest.collection
        and prediction.video_id = latest.video_id
        and prediction.model_version = latest.model_version
where
    prediction.rank = 1
    and list_contains($run_ids, prediction.run_id)
group by member.collection, prediction.model_version
order by member.collection, prediction.model_version
