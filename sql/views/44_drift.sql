-- One row per collection and day of arrival: how far that day's labels and scores are from the training data's.
create or replace view drift as
with answered as (
    select
        collection_key,
        model_version,
        first_seen_at::date as day,
        label_key,
        least(floor(score * 10), 9)::integer as score_bin
    from core.serving_prediction
),

-- Two distributions of each day's videos: over labels, and over tenths of the score.
daily as (
    select
        collection_key,
        model_version,
        day,
        'label' as kind,
        label_key as category,
        count(*) as videos
    from answered
    group by collection_key, model_version, day, label_key
    union all
    select
        collection_key,
        model_version,
        day,
        'score' as kind,
        score_bin as category,
        count(*) as videos
    from answered
    group by collection_key, model_version, day, score_bin
),

reference as (
    select
        model_version,
        'label' as kind,
        label_key as category,
        sum(videos) as videos
    from core.reference_prediction
    group by model_version, label_key
    union all
    select
        model_version,
        'score' as kind,
        score_bin as category,
        sum(videos) as videos
    from core.reference_prediction
    group by model_version, score_bin
),

-- Totals: of the day, of the model's reference, and of the 28 days before.
days as (
    select
        daily.collection_key,
        daily.model_version,
        daily.day,
        sum(daily.videos)::bigint as videos,
        (
            select sum(reference.videos)
            from reference
            where reference.kind = 'label' and reference.model_version = daily.model_version
        ) as trained,
        sum(sum(daily.videos)) over (
            partition by daily.collection_key
            order by daily.day::timestamp
            range between interval 28 days preceding and interval 1 day preceding
        ) as recent
    from daily
    where daily.kind = 'label'
    group by daily.collection_key, daily.model_version, daily.day
),

categories as (
    select
        collection_key,
        kind,
        category
    from daily
    union
    select
        days.collection_key,
        reference.kind,
        reference.category
    from days
    inner join reference on days.model_version = reference.model_version
),

-- A category's share of the day's videos, and of the two reference distributions.
shares as (
    select
        days.collection_key,
        days.day,
        categories.kind,
        coalesce(daily.videos, 0) / days.videos as p,
        coalesce(reference.videos, 0) / days.trained as q_trained,
        coalesce(sum(daily.videos) over the_days_before, 0) / days.recent as q_recent
    from days
    inner join categories on days.collection_key = categories.collection_key
    left join daily
        on
            days.collection_key = daily.collection_key
            and days.day = daily.day
            and categories.kind = daily.kind
            and categories.category = daily.category
    left join reference
        on
            days.model_version = reference.model_version
            and categories.kind = reference.kind
            and categories.category = reference.category
    window
        the_days_before as (
            partition by days.collection_key, categories.kind, categories.category
            order by days.day::timestamp
            range between interval 28 days preceding and interval 1 day preceding
        )
),

-- Jensen-Shannon divergence in bits (Lin, IEEE Trans. Inf. Theory 37, 1991); 0 log 0 is 0.
diverged as (
    select
        collection_key,
        day,
        kind,
        sum(
            case when p > 0 then p / 2 * log2(2 * p / (p + q_trained)) else 0 end
            + case when q_trained > 0 then q_trained / 2 * log2(2 * q_trained / (p + q_trained)) else 0 end
        ) filter (where q_trained is not null) as from_training,
        sum(
            case when p > 0 then p / 2 * log2(2 * p / (p + q_recent)) else 0 end
            + case when q_recent > 0 then q_recent / 2 * log2(2 * q_recent / (p + q_recent)) else 0 end
        ) filter (where q_recent is not null) as from_recent
    from shares
    group by collection_key, day, kind
),

final as (
    select
        collection.name as collection,
        days.day,
        days.model_version,
        days.videos,
        max(diverged.from_training) filter (where diverged.kind = 'label') as label_drift_from_training,
        max(diverged.from_training) filter (where diverged.kind = 'score') as score_drift_from_training,
        max(diverged.from_recent) filter (where diverged.kind = 'label') as label_drift_from_recent,
        max(diverged.from_recent) filter (where diverged.kind = 'score') as score_drift_from_recent
    from days
    inner join core.collection as collection on days.collection_key = collection.collection_key
    left join diverged
        on
            days.collection_key = diverged.collection_key
            and days.day = diverged.day
    group by collection.name, days.day, days.model_version, days.videos
)

select * from final;

comment on view drift is
'One row per collection and day of arrival: how far that day''s labels and scores are from those of training (the serving version''s test split) and of the 28 days before, as Jensen-Shannon divergence: 0 alike, 1 nothing in common. Few videos drift by chance.';
comment on column drift.day is 'Day (UTC) on which the videos were first seen.';
comment on column drift.model_version is 'Version that serves the collection; all its days are compared with its reference.';
comment on column drift.videos is 'Present videos of that day with a prediction.';
comment on column drift.label_drift_from_training is 'Label mix against training; null when that is unknown.';
comment on column drift.score_drift_from_training is
'Distribution of the top-1 score against training; null when that is unknown.';
comment on column drift.label_drift_from_recent is
'Label mix against the 28 days before; null when nothing arrived then.';
comment on column drift.score_drift_from_recent is
'Distribution of the top-1 score against the 28 days before; null when nothing arrived then.';
