-- Switch a collection to the champion, once it has scored every present video with usable features; a version
-- that was rolled back while its run went on must not be switched to.
merge into core.collection_serving as target
using (
    with usable as materialized (
        select distinct
            cv.collection_key,
            cv.video_key
        from core.collection_video as cv
        inner join core.collection as c on cv.collection_key = c.collection_key
        inner join core.video as v on cv.video_key = v.video_key
        where
            cv.present
            and ($collection is null or c.name = $collection)
            and v.verdict in ('ok', 'partial', 'blank')
            and cv.video_key in (select vf.video_key from core.video_feature as vf)
            and c.collection_key not in (  -- there already: spares a quiet night the joins of all videos
                select served.collection_key
                from core.collection_serving as served
                where served.model_version = $model_version
            )
    ),

    scored as (
        select distinct p.video_key
        from core.prediction as p
        where
            p.rank = 1
            and p.model_version = $model_version
            and p.video_key in (select usable.video_key from usable)
    )

    select usable.collection_key
    from usable
    left join scored on usable.video_key = scored.video_key
    group by usable.collection_key
    having
        count(*) = count(scored.video_key)
        and coalesce(champion_as_of('infinity'::timestamp), $model_version) = $model_version
) as ready
    on target.collection_key = ready.collection_key
when matched and target.model_version <> $model_version then
    update
        set
            model_version = $model_version,
            since = $now
when not matched then
    insert (collection_key, model_version, since)
    values (ready.collection_key, $model_version, $now)
