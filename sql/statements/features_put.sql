-- Insert a part's videos; one that has features of this set already keeps them.
insert into core.video_feature (video_key, feature_set_key, n_frames, part, row_offset, numerics, run_id, sampling)
select
    v.video_key,
    fs.feature_set_key,
    given.n_frames,
    $part as part,
    given.row_offset,
    $numerics as numerics,
    $run_id as run_id,
    coalesce(given.sampling, 'full') as sampling
from given
inner join core.video as v on given.video_id = v.video_id
inner join core.feature_set as fs on fs.feature_set_id = $feature_set_id
where
    given.n_frames is not null
    and not exists (
        select 1
        from core.video_feature as vf
        where
            vf.video_key = v.video_key
            and vf.feature_set_key = fs.feature_set_key
    )
