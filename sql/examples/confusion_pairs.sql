-- Which labels are taken for which others?
select
    item.collection,
    item.label as known_label,
    prediction.label as predicted_label,
    count(*) as videos,
    round(avg(prediction.score), 3) as mean_score,
    min(item.path) as example_path
from collection_videos as item
inner join latest_predictions as prediction
    on
        item.collection = prediction.collection
        and item.path = prediction.path
where not list_contains(item.labels, prediction.label)
group by item.collection, item.label, prediction.label
order by videos desc, item.collection asc, known_label asc, predicted_label asc;
