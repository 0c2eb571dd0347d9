-- The registered model of the last decision that moved a champion.
select p.model_name
from core.promotion as p
where
    p.is_final
    and p.decision in ('promoted', 'forced', 'rolled_back', 'external')
order by p.promotion_id desc
limit 1
