-- Present videos of the request with features of other sets, but none of this one.
with present as (
    select distinct vf.video_key
    from core.video_feature as vf
    inner join core.collection_video as cv on vf.video_key = cv.video_key
    inner join core.collection as c on cv.collection_key = c.collection_key
    where
        cv.present
        and ($collection is null or c.name = $collection)
),

done as (
    select vf.video_key
    from core.video_feature as vf
    inner join core.feature_set as fs on vf.feature_set_key = fs.feature_set_key
    where fs.feature_set_id = $feature_set_id
)

select count(*) as missing
from present
anti join done on present.video_key = done.video_key
