-- What changed in each collection during the last day of data: came, went, was classified, failed?
with last_day as (
    select max(last_seen_at) - interval '1 day' as since from collection_videos
),

changes as (
    select
        item.collection,
        case when item.present then 'came' else 'went' end as change
    from collection_videos as item
    cross join last_day
    where
        (item.present and item.first_seen_at > last_day.since)
        or (not item.present and item.last_seen_at > last_day.since - interval '1 day')
    union all
    select
        prediction.collection,
        'classified' as change
    from latest_predictions as prediction
    cross join last_day
    where prediction.predicted_at > last_day.since
    union all
    select
        failure.collection,
        'failed' as change
    from failures as failure
    cross join last_day
    where failure.status <> 'resolved' and failure.last_at > last_day.since
),

final as (
    select
        collection,
        count(*) filter (where change = 'came') as came,
        count(*) filter (where change = 'went') as went,
        count(*) filter (where change = 'classified') as classified,
        count(*) filter (where change = 'failed') as failed
    from changes
    group by collection
)

select * from final
order by collection;
