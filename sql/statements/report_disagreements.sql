-- Videos on which this run's shadow challenger contradicts the champion, those with the highest scores first.
select
    item.collection,
    item.path,
    item.video_id,
    collections.source,
    item.etag,
    file.size_bytes,
    file.mtime_ns,
    file.inode,
    file.ctime_ns,
    video.duration_s,
    mine.label,
    mine.score,
    theirs.label as other_label,
    theirs.score as other_score
from predictions as theirs
inner join predictions as mine on theirs.video_id = mine.video_id
inner join collection_videos as item on theirs.video_id = item.video_id
inner join collections on item.collection = collections.collection
inner join core.collection as owner on item.collection = owner.name
inner join core.collection_video as file
    on owner.collection_key = file.collection_key and item.path = file.path
inner join videos as video on theirs.video_id = video.video_id
where
    theirs.run_id = $run_id
    and theirs.model_version = $challenger
    and theirs.rank = 1
    and mine.model_version = $champion
    and mine.rank = 1
    and mine.label <> theirs.label
    and item.present
qualify row_number() over (partition by theirs.video_id order by item.collection asc, item.path asc) = 1
order by least(mine.score, theirs.score) desc, item.collection asc, item.path asc
limit $most
