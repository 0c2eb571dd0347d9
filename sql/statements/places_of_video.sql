-- Present files of a video that is not forgotten, with their identity when last hashed; of folders before those of buckets.
select
    collection.source,
    file.path,
    video.video_id,
    file.etag,
    file.size_bytes,
    file.mtime_ns,
    file.inode,
    file.ctime_ns
from core.video as video
inner join core.collection_video as file on video.video_key = file.video_key
inner join core.collection as collection on file.collection_key = collection.collection_key
where
    video.video_id = $video_id
    and file.present
    and video.forgotten_at is null
order by contains(collection.source, '://') asc, collection.name asc, file.path asc
limit $most
