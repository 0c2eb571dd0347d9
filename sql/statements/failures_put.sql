-- Upsert failures, one row per collection, path and stage; a repeated failure of the same bytes counts its
-- attempts. A waiting file, which is still changing, counts none. Misread videos are not retried.
merge into core.failure as target
using (
    select
        c.collection_key,
        v.video_key,
        given.*,
        coalesce(known.attempts, 0) + (given.error_class <> $waiting)::integer as attempts
    from given
    inner join core.collection as c on given.collection = c.name
    left join core.video as v on given.video_id = v.video_id
    left join core.failure as known
        on
            c.collection_key = known.collection_key
            and given.path = known.path
            and given.stage = known.stage
            and v.video_key is not distinct from known.video_key
            and known.status <> 'resolved'
) as fresh
    on
        target.collection_key = fresh.collection_key
        and target.path = fresh.path
        and target.stage = fresh.stage
when matched then
    update
        set
            video_key = fresh.video_key,
            error_class = fresh.error_class,
            message = fresh.message,
            attempts = fresh.attempts,
            status = case
                when fresh.error_class = $waiting then 'waiting'
                when fresh.error_class = $misread then 'quarantined'
                when fresh.attempts >= $max_attempts then 'quarantined'
                else 'retry'
            end,
            last_at = $now
when not matched then insert (
    collection_key, path, video_key, stage, error_class, message, attempts, status, first_at, last_at
)
values (
    fresh.collection_key, fresh.path, fresh.video_key, fresh.stage, fresh.error_class, fresh.message,
    fresh.attempts,
    case
        when fresh.error_class = $waiting then 'waiting'
        when fresh.error_class = $misread then 'quarantined'
        when fresh.attempts >= $max_attempts then 'quarantined'
        else 'retry'
    end,
    $now,
    $now
)
