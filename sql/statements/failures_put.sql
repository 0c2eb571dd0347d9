-- One row per collection, path and stage; a repeated failure counts its attempts.
merge into core.failure as target
using (
    select
        c.collection_key,
        v.video_key,
        given.*
    from given
    inner join core.collection as c on given.collection = c.name
    left join core.video as v on given.video_id = v.video_id
) as fresh
on
    target.collection_key = fresh.collection_key
    and target.path = fresh.path
    and target.stage = fresh.stage
when matched then update set
    video_key = fresh.video_key,
    error_class = fresh.error_class,
    message = fresh.message,
    attempts = case when target.status = 'resolved' then 1 else target.attempts + 1 end,
    status = case
        when target.status <> 'resolved' and target.attempts + 1 >= $max_attempts then 'quarantined'
        else 'retry'
    end,
    last_at = $now
when not matched then insert (
    collection_key, path, video_key, stage, error_class, message, attempts, status, first_at, last_at
)
values (
    fresh.collection_key, fresh.path, fresh.video_key, fresh.stage, fresh.error_class, fresh.message, 1,
    case when $max_attempts <= 1 then 'quarantined' else 'retry' end, $now, $now
)
