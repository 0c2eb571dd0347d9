-- Which videos without a label are the model least sure of, at most five of each label it gives?
with unlabelled as (
    select
        prediction.collection,
        prediction.path,
        prediction.label,
        prediction.score,
        prediction.score - coalesce(runner_up.score, 0) as margin
    from latest_predictions as prediction
    inner join collection_videos as item
        on
            prediction.collection = item.collection
            and prediction.path = item.path
    left join predictions as runner_up
        on
            prediction.video_id = runner_up.video_id
            and prediction.model_version = runner_up.model_version
            and runner_up.rank = 2
    where item.label is null
)

select
    collection,
    path,
    label,
    round(score, 3) as score,
    round(margin, 3) as margin
from unlabelled
qualify row_number() over (partition by label order by margin asc, collection asc, path asc) <= 5
order by margin, collection, path;
