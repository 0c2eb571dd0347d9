-- What did each decision rest on: which set, which accuracies, which interval?
select
    promotion_id,
    decided_at,
    decision,
    from_version,
    to_version,
    eval_set_hash,
    round((evidence ->> '$.challenger.accuracy')::double, 3) as accuracy,
    round((evidence ->> '$.champion.accuracy')::double, 3) as champion_accuracy,
    round((evidence ->> '$.difference.accuracy.low')::double, 3) as difference_low,
    round((evidence ->> '$.difference.accuracy.high')::double, 3) as difference_high,
    round((evidence ->> '$.mcnemar.p')::double, 4) as mcnemar_p,
    reason
from promotions
order by promotion_id desc;
