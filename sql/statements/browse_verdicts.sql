-- Verdicts of a collection's present videos, the most frequent first.
select
    video.verdict,
    count(*) as videos
from core.present_video as present
inner join core.collection as collection on present.collection_key = collection.collection_key
inner join core.video as video on present.video_key = video.video_key
where collection.name = $collection
group by video.verdict
order by videos desc, video.verdict asc
