-- Videos seen for the first time in this time span, by collection.
select
    item.collection,
    count(*) as paths,
    sum(video.bytes)::bigint as bytes,
    sum(video.duration_s) as duration_s
from collection_videos as item
left join videos as video on item.video_id = video.video_id
where item.first_seen_at between $since and $until
group by item.collection
order by item.collection
