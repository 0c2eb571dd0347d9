-- Facts of a present video of a collection, or of any where none is named.
select
    collection,
    path,
    video_id,
    known_label,
    multi_label,
    label_source,
    group_name,
    attributes,
    verdict,
    duration_s,
    video_codec,
    display_width_px as width_px,
    display_height_px as height_px,
    bytes,
    recorded_at,
    first_seen_at,
    (
        select list(place.collection || '/' || place.path order by place.collection, place.path)
        from collection_videos as place
        where place.video_id = $video_id and place.present
    ) as places,
    novelty,
    model_version
from core.served_video
where
    video_id = $video_id
    and ($collection is null or collection = $collection)
order by collection
limit 1
