insert into core.promotion (
    promotion_id, model_name, from_version, to_version, decision, evidence, eval_set_hash, reason, actor,
    decided_at, is_final, to_version_key
)
values (
    nextval('core.promotion_ids'), $model_name, $from_version, $to_version, $decision, $evidence,
    $eval_set_hash, $reason, $actor, $now, $is_final,
    coalesce(
        $to_version_key,
        (
            select v.version_key
            from core.version as v
            where
                v.is_current
                and v.model_name = $model_name
                and v.model_version = $to_version
        )
    )
)
returning promotion_id
