-- Collections that hold videos which this version could score and has not (or in other windows), the newest first.
select
    c.name,
    serving.model_version as serving_version,
    count(distinct cv.video_key) as videos
from core.collection as c
inner join core.collection_video as cv on c.collection_key = cv.collection_key
inner join core.video_feature as vf on cv.video_key = vf.video_key
inner join core.feature_set as fs on vf.feature_set_key = fs.feature_set_key
left join core.wanted_windows as wanted on cv.video_key = wanted.video_key
left join core.collection_serving as serving on c.collection_key = serving.collection_key
where
    cv.present
    and fs.feature_set_id = $feature_set_id
    and ($collection is null or c.name = $collection)
    and not exists (
        select 1
        from core.prediction as p
        where
            p.video_key = cv.video_key
            and p.model_version = $model_version
            and p.feature_set_key = fs.feature_set_key
            and p.window_s is not distinct from wanted.window_s
            and p.stride_s is not distinct from wanted.stride_s
    )
group by
    c.name,
    serving.model_version,
    c.created_at
order by
    c.created_at desc,
    c.name asc
