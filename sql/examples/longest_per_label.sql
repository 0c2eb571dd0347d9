-- Which are the three longest videos of every label?
select
    prediction.label,
    prediction.collection,
    prediction.path,
    round(video.duration_s, 1) as duration_s
from latest_predictions as prediction
inner join videos as video on prediction.video_id = video.video_id
where video.duration_s is not null
qualify
    row_number() over (
        partition by prediction.label
        order by video.duration_s desc, prediction.collection asc, prediction.path asc
    ) <= 3
order by prediction.label asc, video.duration_s desc;
