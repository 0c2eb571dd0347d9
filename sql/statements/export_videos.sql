-- Present videos of one collection or of all, with their known label and the prediction that is served.
select
    served.* exclude (collection_key, video_key),
    model.model_name
from core.served_video as served
left join core.prediction as prediction
    on
        served.video_key = prediction.video_key
        and served.model_version = prediction.model_version
        and prediction.rank = 1
left join core.model as model on prediction.model_key = model.model_key
where $collection is null or served.collection = $collection
order by served.collection, served.path
