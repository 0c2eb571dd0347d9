-- Final decisions that moved the champion, oldest first.
select
    p.promotion_id,
    p.from_version,
    p.to_version,
    p.decision,
    v.digest as to_digest
from core.promotion as p
left join core.version as v on p.to_version_key = v.version_key
where
    p.model_name = $model_name
    and p.is_final
    and p.decision in ('promoted', 'forced', 'rolled_back', 'external')
order by p.promotion_id
