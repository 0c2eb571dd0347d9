-- One row per pair of present videos that are copies of one recording, though their bytes differ.
create or replace view near_duplicates as
with present as (
    select
        present_video.video_key,
        min_by(collection.name, present_video.collection_key) as collection,
        min_by(present_video.path, present_video.collection_key) as path
    from core.present_video as present_video
    inner join core.collection as collection on present_video.collection_key = collection.collection_key
    group by present_video.video_key
)

select
    one.video_id,
    other.video_id as other_video_id,
    pair.similarity,
    mine.collection,
    mine.path,
    theirs.collection as other_collection,
    theirs.path as other_path,
    pair.start_s,
    pair.end_s,
    pair.other_start_s,
    pair.other_end_s,
    pair.frames,
    feature_set.feature_set_id
from core.near_duplicate as pair
inner join core.video as one on pair.video_key = one.video_key
inner join core.video as other on pair.other_video_key = other.video_key
inner join present as mine on pair.video_key = mine.video_key
inner join present as theirs on pair.other_video_key = theirs.video_key
inner join core.feature_set as feature_set on pair.feature_set_key = feature_set.feature_set_key
qualify row_number() over (
    partition by pair.video_key, pair.other_video_key
    order by pair.feature_set_key desc
) = 1;

comment on view near_duplicates is
'One row per pair of present videos that are copies of one recording, re-encoded, resized, cropped, trimmed or in another container: their features change together, frame beside frame. Copies of the same bytes are one video, and not here.';
comment on column near_duplicates.other_video_id is 'Of the pair, the video that came later.';
comment on column near_duplicates.similarity is
'Probability that one is a copy of the other, 0.5 to 1, by a logistic regression on how their features change together; train refuses splits that pairs of 0.95 or more straddle.';
comment on column near_duplicates.collection is 'First collection in which the video is present.';
comment on column near_duplicates.path is 'Its first path there.';
comment on column near_duplicates.other_collection is 'First collection in which the other video is present.';
comment on column near_duplicates.other_path is 'Its first path there.';
comment on column near_duplicates.start_s is 'When the first matched frame shows in the video, in seconds.';
comment on column near_duplicates.end_s is 'When the last matched frame shows in the video.';
comment on column near_duplicates.other_start_s is 'When the first matched frame shows in the other video.';
comment on column near_duplicates.other_end_s is 'When the last matched frame shows in the other video.';
comment on column near_duplicates.frames is 'Sampled frames that match.';
comment on column near_duplicates.feature_set_id is 'The newest feature set in which they were found.';
