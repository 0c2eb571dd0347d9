-- What came in during the last day of data, and what is it?
with newest as (
    select max(first_seen_at) as newest_at from collection_videos
),

final as (
    select
        item.collection,
        item.path,
        item.first_seen_at,
        prediction.label,
        prediction.score
    from collection_videos as item
    cross join newest
    left join latest_predictions as prediction
        on
            item.collection = prediction.collection
            and item.video_id = prediction.video_id
    where
        item.present
        and item.first_seen_at > newest.newest_at - interval '1 day'
)

select * from final
order by first_seen_at desc, collection asc, path asc;
