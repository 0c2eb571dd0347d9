-- Which videos look most like the one that came in last? By what their middle frames show.
-- Features lie beside the warehouse, where `vidpipe sql` reads nothing: DuckDB's own command line, in the home.
with frame as (
    select
        parse_filename(filename) as part,
        file_row_number,
        features[1:1280] as shown  -- what is there; further on, where it is and what moves
    from read_parquet('features/feature_set=*/part-*.parquet', filename = true, file_row_number = true)
),

video as (
    select
        item.collection,
        item.path,
        item.video_id,
        item.first_seen_at,
        stored.feature_set_id,
        frame.shown
    from collection_videos as item
    inner join video_features as stored on item.video_id = stored.video_id
    inner join frame
        on
            stored.part = frame.part
            and stored.row_offset + stored.n_frames // 2 = frame.file_row_number
    where item.present
    qualify
        row_number() over (
            partition by item.video_id, stored.feature_set_id order by item.first_seen_at, item.collection, item.path
        ) = 1
),

newest as (
    select *
    from video
    order by first_seen_at desc, collection asc, path asc
    limit 1
)

select
    newest.collection,
    newest.path,
    video.collection as other_collection,
    video.path as other_path,
    round(list_cosine_similarity(newest.shown, video.shown), 3) as similarity
from newest
inner join video
    on
        newest.feature_set_id = video.feature_set_id
        and newest.video_id <> video.video_id
order by similarity desc, other_collection asc, other_path asc
limit 10;
