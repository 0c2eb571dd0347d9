-- Present videos of one collection or of all, with their known label and the prediction that is served.
select
    collection.name as collection,
    collection.source,
    present.path,
    video.video_id,
    video.duration_s,
    item.label as known_label,
    label.label as predicted,
    top.score::double as score,
    top.model_version,
    model.model_name
from core.present_video as present
inner join core.collection as collection on present.collection_key = collection.collection_key
inner join core.video as video on present.video_key = video.video_key
inner join core.item as item
    on
        present.collection_key = item.collection_key
        and present.path = item.path
left join core.serving_prediction as top
    on
        present.collection_key = top.collection_key
        and present.video_key = top.video_key
left join core.label as label on top.label_key = label.label_key
left join core.prediction as prediction
    on
        top.video_key = prediction.video_key
        and top.model_version = prediction.model_version
        and prediction.rank = 1
left join core.model as model on prediction.model_key = model.model_key
where $collection is null or collection.name = $collection
order by collection.name, present.path
