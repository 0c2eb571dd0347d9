-- Intents whose alias may or may not have moved when their process ended.
select
    promotion_id,
    from_version,
    to_version,
    decision
from core.promotion
where
    model_name = $model_name
    and not is_final
order by promotion_id
