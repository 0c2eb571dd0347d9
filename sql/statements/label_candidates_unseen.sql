-- Unlabelled videos with features that no version has classified, in order of their hash, which is random.
select
    item.collection,
    item.path,
    item.video_id,
    null as predicted,
    null as score,
    null as runner_up,
    null as margin,
    null as newer_predicted,
    feature.feature_set_id,
    1.0 as usefulness,
    feature.part,
    feature.row_offset,
    feature.n_frames,
    count(*) over () as candidates
from collection_videos as item
inner join video_features as feature on item.video_id = feature.video_id
anti join predictions as classified on item.video_id = classified.video_id
where
    item.present
    and item.label is null
    and ($collection is null or item.collection = $collection)
qualify
    row_number() over (
        partition by item.video_id order by feature.run_id desc, item.collection asc, item.path asc
    ) = 1
order by item.video_id
limit $most
