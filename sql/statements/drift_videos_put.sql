-- Record a night's videos, and keep the last ones of the collection.
insert into core.drift_video (version_key, collection_key, run_id, video_key, features)
select
    $version_key as version_key,
    c.collection_key,
    $run_id as run_id,
    v.video_key,
    given.features
from given
inner join core.video as v on given.video_id = v.video_id
inner join core.collection as c on c.name = $collection;

delete from core.drift_video
where
    rowid in (
        select dv.rowid
        from core.drift_video as dv
        inner join core.collection as c on dv.collection_key = c.collection_key
        where
            dv.version_key = $version_key
            and c.name = $collection
        order by
            dv.run_id desc,
            dv.video_key asc
        offset $kept
    )
