select
    promotion_id,
    decision,
    from_version,
    to_version,
    reason,
    actor,
    decided_at
from promotions
order by promotion_id desc
limit 10
