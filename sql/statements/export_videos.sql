-- Present videos of one collection or of all, with their known labels and the predictions that are served: the
-- top-1, and the labels that hold, of which a multi-label version may have several or none.
with held as (
    select
        collection,
        video_id,
        list(label order by rank) as labels,
        list(score::double order by rank) as scores
    from latest_labels
    where $collection is null or collection = $collection
    group by collection, video_id
)

select
    served.* exclude (collection_key, video_key),
    held.labels,
    held.scores,
    model.model_name
from core.served_video as served
left join core.prediction as prediction
    on
        served.video_key = prediction.video_key
        and served.model_version = prediction.model_version
        and prediction.rank = 1
left join core.model as model on prediction.model_key = model.model_key
left join held
    on
        served.collection = held.collection
        and served.video_id = held.video_id
where $collection is null or served.collection = $collection
order by served.collection, served.path
