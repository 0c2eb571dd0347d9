-- Which files are copies of the same video?
select
    video_id,
    count(*) as copies,
    count(distinct label) as known_labels,
    list(collection || '/' || path order by collection, path) as places
from collection_videos
where present and video_id is not null
group by video_id
having count(*) > 1
order by copies desc, video_id asc;
