-- Agreement of champion and challenger in a night and, of the same two versions, in all nights before it.
with shadows as (
    select
        run_id,
        detail ->> '$.shadow.champion' as champion,
        detail ->> '$.shadow.version' as challenger,
        [detail ->> '$.shadow.champion_digest', detail ->> '$.shadow.digest'] as digests,
        try_cast(detail ->> '$.shadow.compared' as bigint) as compared,
        try_cast(detail ->> '$.shadow.agreeing' as bigint) as agreeing
    from nights
)

select
    tonight.champion::integer as champion,
    tonight.challenger::integer as challenger,
    tonight.compared,
    tonight.agreeing,
    sum(earlier.compared)::bigint as compared_before,
    sum(earlier.agreeing)::bigint as agreeing_before
from shadows as tonight
inner join shadows as earlier on tonight.digests = earlier.digests
where
    tonight.run_id = $run_id
    and earlier.run_id < tonight.run_id
    and tonight.compared > 0
    and earlier.compared > 0
group by all
