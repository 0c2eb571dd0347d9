-- Classified videos without a label, the most useful to label first: where the two best labels are close, or of a
-- multi-label version a label is neither there nor not there,
-- and where a newer version contradicts the serving one (worth half a margin).
with newer as (
    select
        serving.collection,
        serving.path,
        arg_max(other.label, other.model_version) as label
    from latest_predictions as serving
    inner join predictions as other
        on
            serving.video_id = other.video_id
            and serving.model_version < other.model_version
    where other.rank = 1
    group by serving.collection, serving.path
),

-- Where a video may have several labels, each is a question of its own: how near is the nearest to a half?
closest as (
    select
        scored.video_id,
        scored.model_version,
        min(abs(2 * scored.score - 1)) as margin
    from predictions as scored
    where scored.over_threshold is not null
    group by scored.video_id, scored.model_version
),

asked as (
    select
        serving.collection,
        serving.path,
        serving.video_id,
        serving.label as predicted,
        serving.score,
        runner_up.label as runner_up,
        coalesce(closest.margin, serving.score - coalesce(runner_up.score, 0)) as margin,
        newer.label as newer_predicted,
        best.feature_set_id
    from latest_predictions as serving
    inner join collection_videos as item
        on
            serving.collection = item.collection
            and serving.path = item.path
    inner join predictions as best
        on
            serving.video_id = best.video_id
            and serving.model_version = best.model_version
            and best.rank = 1
    left join predictions as runner_up
        on
            serving.video_id = runner_up.video_id
            and serving.model_version = runner_up.model_version
            and runner_up.rank = 2
    left join closest
        on
            serving.video_id = closest.video_id
            and serving.model_version = closest.model_version
    left join newer
        on
            serving.collection = newer.collection
            and serving.path = newer.path
    where
        item.label is null
        and ($collection is null or serving.collection = $collection)
    qualify row_number() over (partition by serving.video_id order by serving.collection, serving.path) = 1
)

select
    asked.*,
    1 - asked.margin + if(asked.newer_predicted <> asked.predicted, 0.5, 0) as usefulness,
    feature.part,
    feature.row_offset,
    feature.n_frames,
    count(*) over () as candidates
from asked
inner join video_features as feature
    on
        asked.video_id = feature.video_id
        and asked.feature_set_id = feature.feature_set_id
order by usefulness desc, asked.video_id asc
limit $most
