-- Present videos of the request that this version has scored, in the windows that are wanted now.
select count(distinct p.video_key) as scored
from core.prediction as p
inner join core.collection_video as cv on p.video_key = cv.video_key
inner join core.collection as c on cv.collection_key = c.collection_key
left join core.wanted_windows as wanted on p.video_key = wanted.video_key
where
    p.rank = 1
    and p.model_version = $model_version
    and p.window_s is not distinct from wanted.window_s
    and p.stride_s is not distinct from wanted.stride_s
    and cv.present
    and ($collection is null or c.name = $collection)
