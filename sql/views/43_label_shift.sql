-- One row per collection, other version and label: how the label's share would change.
create or replace view label_shift as
with compared as (
    select
        serving.collection_key,
        serving.model_version as serving_version,
        other.model_version as other_version,
        serving.label_key as serving_label_key,
        other.label_key as other_label_key
    from core.serving_prediction as serving
    inner join core.prediction as other
        on
            serving.video_key = other.video_key
            and serving.model_version <> other.model_version
    where
        other.rank = 1
        and other.model_version > 0
),

answered as (
    select
        collection_key,
        serving_version,
        other_version,
        serving_label_key as label_key,
        1 as by_serving,
        0 as by_other
    from compared
    union all
    select
        collection_key,
        serving_version,
        other_version,
        other_label_key as label_key,
        0 as by_serving,
        1 as by_other
    from compared
),

counted as (
    select
        collection_key,
        serving_version,
        other_version,
        label_key,
        sum(by_serving)::bigint as serving_videos,
        sum(by_other)::bigint as other_videos
    from answered
    group by collection_key, serving_version, other_version, label_key
),

final as (
    select
        collection.name as collection,
        counted.serving_version,
        counted.other_version,
        label.label,
        counted.serving_videos,
        counted.other_videos,
        (counted.other_videos - counted.serving_videos) / sum(counted.serving_videos) over (
            partition by counted.collection_key, counted.other_version
        ) as share_change
    from counted
    inner join core.collection as collection on counted.collection_key = collection.collection_key
    inner join core.label as label on counted.label_key = label.label_key
)

select * from final;

comment on view label_shift is
'One row per collection, other version and label, over the present videos that both versions scored: how the label mix would change if the other version served, such as the challenger in the shadow.';
comment on column label_shift.other_version is 'Another version that scored the same videos.';
comment on column label_shift.label is 'The label.';
comment on column label_shift.serving_videos is 'Videos to which the serving version gives it.';
comment on column label_shift.other_videos is 'Videos to which the other version gives it.';
comment on column label_shift.share_change is
'Share of the videos that the label would gain, negative for a loss.';
