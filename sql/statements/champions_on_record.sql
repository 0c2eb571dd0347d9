-- The champion of each registered model by its promotion history; null where the alias was removed.
select
    model_name,
    arg_max(coalesce(to_version, -1), promotion_id) as version
from core.promotion
where
    is_final
    and decision in ('promoted', 'forced', 'rolled_back', 'external')
group by model_name
order by model_name
