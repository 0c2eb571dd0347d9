-- What does each camera see at which hour? By the clock, where a recording time is known.
with seen as (
    select
        listed.collection,
        coalesce(listed.attributes['camera'], '?') as camera,
        hour(listed.recorded_at) as hour_utc,
        latest.label,
        latest.score
    from latest_predictions as latest
    inner join collection_videos as listed
        on
            latest.collection = listed.collection
            and latest.path = listed.path
    where listed.recorded_at is not null
)

select
    collection,
    camera,
    hour_utc,
    label,
    count(*) as videos,
    round(avg(score), 3) as mean_score
from seen
group by collection, camera, hour_utc, label
order by collection asc, camera asc, hour_utc asc, videos desc, label asc;
