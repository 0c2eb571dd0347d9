select fs.spec
from core.feature_set as fs
where
    fs.feature_set_key in (
        select vf.feature_set_key
        from core.video_feature as vf
        inner join core.collection_video as cv on vf.video_key = cv.video_key
        inner join core.collection as c on cv.collection_key = c.collection_key
        where
            cv.present
            and ($collection is null or c.name = $collection)
    )
order by fs.feature_set_key desc
