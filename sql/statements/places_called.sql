-- Present videos at a path, of one collection or of all.
select distinct video_id
from collection_videos
where
    path = $path
    and present
    and video_id is not null
    and ($collection is null or collection = $collection)
order by video_id
limit 2
