-- Record that videos have been compared, and the near-duplicates that were found; what is known stays.
insert into core.near_duplicate (
    video_key, other_video_key, feature_set_key, similarity, start_s, end_s, other_start_s, other_end_s, frames
)
select
    one.video_key,
    other.video_key as other_video_key,
    fs.feature_set_key,
    given.similarity,
    given.start_s,
    given.end_s,
    given.other_start_s,
    given.other_end_s,
    given.frames
from given
inner join core.video as one on given.video_id = one.video_id
inner join core.video as other on given.other_video_id = other.video_id
inner join core.feature_set as fs on fs.feature_set_id = $feature_set_id
where not exists (
    select 1
    from core.near_duplicate as pair
    where
        pair.feature_set_key = fs.feature_set_key
        and least(pair.video_key, pair.other_video_key) = least(one.video_key, other.video_key)
        and greatest(pair.video_key, pair.other_video_key) = greatest(one.video_key, other.video_key)
);

insert into core.compared_video (video_key, feature_set_key)
select
    v.video_key,
    fs.feature_set_key
from compared
inner join core.video as v on compared.video_id = v.video_id
inner join core.feature_set as fs on fs.feature_set_id = $feature_set_id
where not exists (
    select 1
    from core.compared_video as known
    where
        known.video_key = v.video_key
        and known.feature_set_key = fs.feature_set_key
)
