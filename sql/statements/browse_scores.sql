-- Labels that the version serving a collection gives a video, the best first.
select
    prediction.label,
    prediction.score::double as score,
    coalesce(prediction.over_threshold, prediction.rank = 1) as holds
from predictions as prediction
inner join collection_serving as serving on prediction.model_version = serving.model_version
where
    serving.collection = $collection
    and prediction.video_id = $video_id
order by prediction.rank
