-- One row per decision about the champion that was carried through.
create or replace view promotions as
select
    promotion_id,
    model_name,
    from_version,
    to_version,
    decision,
    evidence,
    eval_set_hash,
    reason,
    actor,
    decided_at
from core.promotion
where is_final;

comment on view promotions is
'One row per final decision about the champion, refusals included.';
comment on column promotions.eval_set_hash is 'Hash of the test set that both models were scored on.';
