-- Present videos with features of this set that this model version has not scored, or in other windows than the
-- current ones.
with present as (
    select distinct cv.video_key
    from core.collection_video as cv
    inner join core.collection as c on cv.collection_key = c.collection_key
    where
        cv.present
        and ($collections is null or list_contains($collections, c.name))
),

scored as (
    select
        p.video_key,
        p.window_s,
        p.stride_s
    from core.prediction as p
    inner join core.feature_set as fs on p.feature_set_key = fs.feature_set_key
    where
        p.rank = 1
        and p.model_version = $model_version
        and fs.feature_set_id = $feature_set_id
),

usable as (
    select
        vf.video_key,
        vf.part,
        vf.row_offset,
        vf.n_frames,
        wanted.window_s,
        wanted.stride_s,
        wanted.starts_s
    from core.video_feature as vf
    inner join core.feature_set as fs on vf.feature_set_key = fs.feature_set_key
    left join core.wanted_windows as wanted on vf.video_key = wanted.video_key
    where fs.feature_set_id = $feature_set_id
)

select
    v.video_id,
    usable.part,
    usable.row_offset,
    usable.n_frames,
    usable.window_s,
    usable.stride_s,
    usable.starts_s
from usable
inner join present on usable.video_key = present.video_key
inner join core.video as v on usable.video_key = v.video_key
anti join scored
    on
        usable.video_key = scored.video_key
        and usable.window_s is not distinct from scored.window_s
        and usable.stride_s is not distinct from scored.stride_s
order by
    usable.part asc,
    usable.row_offset asc
