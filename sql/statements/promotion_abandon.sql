-- Close an intent that cannot be carried out, with the decision and the reason.
update core.promotion
set
    reason = concat_ws('; ', reason, decision || ', not carried out: ' || $why),
    decision = 'not_carried_out',
    is_final = true
where
    promotion_id = $promotion_id
    and not is_final
