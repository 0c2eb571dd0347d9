-- Decisions of any model whose alias may not have moved.
select
    promotion_id,
    decision,
    to_version
from core.promotion
where not is_final
order by promotion_id
