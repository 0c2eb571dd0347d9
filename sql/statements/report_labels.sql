-- Predicted labels that hold, of this run and of earlier runs of its kind, without nights that classified nothing.
with told as (
    select
        run_id,
        started_at,
        finished_at
    from runs
    where
        finished_at is not null
        and run_id <= $run_id
        and kind = (select this.kind from runs as this where this.run_id = $run_id)
),

parts as (
    select
        told.run_id as told_id,
        told.started_at,
        part.run_id
    from told
    inner join runs as part
        on
            told.run_id = part.run_id
            or (told.started_at <= part.started_at and told.finished_at >= part.finished_at)
    where part.kind = 'classify'
),

recent as (
    select *
    from parts
    where exists (select 1 from predictions where predictions.run_id = parts.run_id)
    qualify told_id = $run_id or dense_rank() over (order by told_id desc) <= $runs
)

select
    recent.told_id as run_id,
    recent.started_at,
    prediction.label,
    count(distinct prediction.video_id) as videos
from recent
inner join predictions as prediction on recent.run_id = prediction.run_id
where coalesce(prediction.over_threshold, prediction.rank = 1)
group by recent.told_id, recent.started_at, prediction.label
order by recent.told_id, prediction.label
