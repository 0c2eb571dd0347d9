-- Which files are copies of the same video?
with copied as (
    select video_id
    from collection_videos
    where present and video_id is not null
    group by video_id
    having count(*) > 1
)

select
    item.video_id,
    count(*) as copies,
    count(distinct item.label) as known_labels,
    list(item.collection || '/' || item.path order by item.collection, item.path) as places
from collection_videos as item
inner join copied on item.video_id = copied.video_id
where item.present
group by item.video_id
order by copies desc, item.video_id asc;
