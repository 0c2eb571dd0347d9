-- One row per collection and day of arrival: is what came in that day like what the model knows?
create or replace view drift as
with arrived as (
    select
        collection_key,
        video_key,
        min(first_seen_at)::date as day
    from core.collection_video
    where present and video_key is not null
    group by collection_key, video_key
),

answered as (
    select
        serving.collection_key,
        serving.model_version,
        arrived.day,
        serving.label_key,
        least(floor(serving.score * 10), 9)::integer as score_bin
    from core.serving_prediction as serving
    inner join arrived
        on
            serving.collection_key = arrived.collection_key
            and serving.video_key = arrived.video_key
),

counted as (
    select
        collection_key,
        model_version,
        day,
        label_key,
        score_bin,
        count(*) as videos
    from answered
    group by collection_key, model_version, day, label_key, score_bin
),

-- Two distributions of each day's videos: over labels, and over tenths of the score.
daily as (
    select
        collection_key,
        model_version,
        day,
        'label' as kind,
        label_key as category,
        sum(videos) as videos
    from counted
    group by collection_key, model_version, day, label_key
    union all
    select
        collection_key,
        model_version,
        day,
        'score' as kind,
        score_bin as category,
        sum(videos) as videos
    from counted
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

days as (
    select
        collection_key,
        model_version,
        day,
        sum(videos)::bigint as videos
    from counted
    group by collection_key, model_version, day
),

-- The day's videos beside those of the yardstick, category by category.
beside as (
    select
        daily.collection_key,
        daily.day,
        daily.kind,
        compared.yardstick,
        daily.category,
        daily.videos as here,
        0 as there
    from daily
    cross join (values ('training'), ('recent')) as compared (yardstick)
    union all
    select
        days.collection_key,
        days.day,
        reference.kind,
        'training' as yardstick,
        reference.category,
        0 as here,
        reference.videos as there
    from days
    inner join reference on days.model_version = reference.model_version
    union all
    select
        days.collection_key,
        days.day,
        daily.kind,
        'recent' as yardstick,
        daily.category,
        0 as here,
        daily.videos as there
    from days
    inner join daily
        on
            days.collection_key = daily.collection_key
            and days.day > daily.day
            and days.day - 28 <= daily.day
),

shares as (
    select
        collection_key,
        day,
        kind,
        yardstick,
        sum(here) / sum(sum(here)) over one_day as p,
        sum(there) / nullif(sum(sum(there)) over one_day, 0) as q
    from beside
    group by collection_key, day, kind, yardstick, category
    window one_day as (partition by collection_key, day, kind, yardstick)
),

-- Jensen-Shannon divergence in bits (Lin, IEEE Trans. Inf. Theory 37, 1991); 0 log 0 is 0.
diverged as (
    select
        collection_key,
        day,
        kind,
        yardstick,
        sum(
            case when p > 0 then p / 2 * log2(2 * p / (p + q)) else 0 end
            + case when q > 0 then q / 2 * log2(2 * q / (p + q)) else 0 end
        ) as divergence
    from shares
    where q is not null
    group by collection_key, day, kind, yardstick
),

final as (
    select
        collection.name as collection,
        days.day,
        days.model_version,
        days.videos,
        max(diverged.divergence) filter (
            where diverged.kind = 'label' and diverged.yardstick = 'training'
        ) as label_drift_from_training,
        max(diverged.divergence) filter (
            where diverged.kind = 'score' and diverged.yardstick = 'training'
        ) as score_drift_from_training,
        max(diverged.divergence) filter (
            where diverged.kind = 'label' and diverged.yardstick = 'recent'
        ) as label_drift_from_recent,
        max(diverged.divergence) filter (
            where diverged.kind = 'score' and diverged.yardstick = 'recent'
        ) as score_drift_from_recent
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
comment on column drift.collection is 'Name of the collection.';
comment on column drift.day is 'Day (UTC) on which the videos were first seen.';
comment on column drift.model_version is 'Version that serves the collection; all its days are judged by it.';
comment on column drift.videos is 'Present videos of that day with a prediction.';
comment on column drift.label_drift_from_training is 'Label mix against training; null when that is unknown.';
comment on column drift.score_drift_from_training is
'Distribution of the top-1 score against training; null when that is unknown.';
comment on column drift.label_drift_from_recent is
'Label mix against the 28 days before; null when nothing arrived then.';
comment on column drift.score_drift_from_recent is
'Distribution of the top-1 score against the 28 days before; null when nothing arrived then.';
