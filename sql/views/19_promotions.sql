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
comment on column promotions.promotion_id is 'Number of the decision.';
comment on column promotions.model_name is 'Name of the registered model.';
comment on column promotions.from_version is 'Champion before the decision; null when there was none.';
comment on column promotions.to_version is 'Version that was evaluated, or that the alias moved to.';
comment on column promotions.decision is 'promoted, refused, forced, rolled_back, external or not_carried_out.';
comment on column promotions.evidence is 'What the gate measured, as JSON.';
comment on column promotions.eval_set_hash is 'Hash of the test set that both models were scored on.';
comment on column promotions.reason is 'Why, in words.';
comment on column promotions.actor is 'Who asked for it.';
comment on column promotions.decided_at is 'When it was decided, UTC.';
