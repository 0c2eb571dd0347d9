insert into core.promotion (
    promotion_id, model_name, from_version, to_version, decision, evidence, eval_set_hash, reason, actor,
    decided_at, is_final
)
values (
    nextval('core.promotion_ids'), $model_name, $from_version, $to_version, $decision, $evidence,
    $eval_set_hash, $reason, $actor, $now, $is_final
)
returning promotion_id
