-- Which are the three longest videos of every label?
with longest as (
    select
        prediction.label,
        unnest(
            min_by(
                struct_pack(prediction.collection, prediction.path, video.duration_s),
                (-video.duration_s, prediction.collection, prediction.path),
                3
            )
        ) as item
    from latest_predictions as prediction
    inner join videos as video on prediction.video_id = video.video_id
    where video.duration_s is not null
    group by prediction.label
)

select
    label,
    item.collection,
    item.path,
    round(item.duration_s, 1) as duration_s
from longest
order by label asc, item.duration_s desc, item.collection asc, item.path asc;
