-- The registered model that the last decision which moved a champion was about.
select p.model_name
from core.promotion as p
where
    p.is_final
    and p.decision in ('promoted', 'forced', 'rolled_back', 'external')
order by p.promotion_id desc
limit 1
