-- What moved the champion, oldest first.
select
    promotion_id,
    from_version,
    to_version,
    decision
from core.promotion
where
    model_name = $model_name
    and is_final
    and decision in ('promoted', 'forced', 'rolled_back', 'external')
order by promotion_id
