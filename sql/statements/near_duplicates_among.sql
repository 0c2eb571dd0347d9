-- Near-duplicates of a feature set of which both are among the given videos, the likeliest first.
select
    one.video_id,
    other.video_id as other_video_id,
    pair.similarity,
    pair.start_s,
    pair.end_s,
    pair.other_start_s,
    pair.other_end_s,
    pair.frames
from core.near_duplicate as pair
inner join core.feature_set as fs on pair.feature_set_key = fs.feature_set_key
inner join core.video as one on pair.video_key = one.video_key
inner join core.video as other on pair.other_video_key = other.video_key
where
    fs.feature_set_id = $feature_set_id
    and one.video_id in (select given.video_id from given)
    and other.video_id in (select given.video_id from given)
order by
    pair.similarity desc,
    one.video_id asc,
    other.video_id asc
