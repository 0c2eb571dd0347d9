-- Verdicts on the videos first seen in this span, and on all that are present.
with arrived as (
    select distinct video_id
    from collection_videos
    where first_seen_at between $since and $until
)

select
    coalesce(quality.verdict, 'not decoded yet') as verdict,
    count(distinct quality.video_id) filter (where arrived.video_id is not null) as arrived,
    count(distinct quality.video_id) as present,
    avg(quality.decoded_share) as decoded_share
from media_quality as quality
left join arrived on quality.video_id = arrived.video_id
group by coalesce(quality.verdict, 'not decoded yet')
order by present desc, verdict asc
