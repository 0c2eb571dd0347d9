-- Number of present videos with features of this set.
select count(distinct vf.video_key) as done
from core.video_feature as vf
inner join core.feature_set as fs on vf.feature_set_key = fs.feature_set_key
inner join core.collection_video as cv on vf.video_key = cv.video_key
inner join core.collection as c on cv.collection_key = c.collection_key
where
    cv.present
    and fs.feature_set_id = $feature_set_id
    and ($collection is null or c.name = $collection)
