-- How often is the serving version right, where the label is known? Its training videos are left out.
with judged as (
    select
        prediction.collection,
        prediction.model_version,
        item.label as known_label,
        list_contains(item.labels, prediction.label) as is_right,
        prediction.score
    from latest_predictions as prediction
    inner join collection_videos as item
        on
            prediction.collection = item.collection
            and prediction.path = item.path
    where
        item.label is not null
        and prediction.model_version in (select model_version from version_videos)
        and not exists (
            select 1
            from version_videos as used
            where
                used.model_version = prediction.model_version
                and used.video_id = prediction.video_id
                and used.split in ('train', 'val')
        )
),

final as (
    select
        collection,
        model_version,
        known_label,
        count(*) as videos,
        round(avg(is_right::integer), 3) as recall,
        round(avg(score), 3) as mean_score
    from judged
    group by collection, model_version, known_label
)

select * from final
order by collection, recall, known_label;
