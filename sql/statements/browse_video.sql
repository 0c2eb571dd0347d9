-- Facts of a present video of a collection, or of any where none is named.
select
    collection.name as collection,
    present.path,
    video.video_id,
    item.label as known_label,
    item.label_source,
    item.group_name,
    item.attributes,
    video.verdict,
    video.duration_s,
    video.video_codec,
    video.display_width_px as width_px,
    video.display_height_px as height_px,
    video.bytes,
    coalesce(item.recorded_at, video.recorded_at) as recorded_at,
    present.first_seen_at,
    (
        select list(place.collection || '/' || place.path order by place.collection, place.path)
        from collection_videos as place
        where place.video_id = $video_id and place.present
    ) as places,
    top.novelty::double as novelty,
    top.model_version
from core.present_video as present
inner join core.collection as collection on present.collection_key = collection.collection_key
inner join core.video as video on present.video_key = video.video_key
inner join core.item as item
    on
        present.collection_key = item.collection_key
        and present.path = item.path
left join core.serving_prediction as top
    on
        present.collection_key = top.collection_key
        and present.video_key = top.video_key
where
    video.video_id = $video_id
    and ($collection is null or collection.name = $collection)
order by collection.name
limit 1
