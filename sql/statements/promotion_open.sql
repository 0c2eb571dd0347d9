-- Open intents, whose alias may or may not have moved, and be told of, when their process ended.
select
    p.promotion_id,
    p.from_version,
    p.to_version,
    p.decision,
    v.digest as to_digest,
    p.evidence,
    p.reason,
    p.actor,
    p.decided_at
from core.promotion as p
left join core.version as v on p.to_version_key = v.version_key
where
    p.model_name = $model_name
    and not p.is_final
order by p.promotion_id
