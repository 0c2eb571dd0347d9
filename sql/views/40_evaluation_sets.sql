-- One row per frozen evaluation set.
create or replace view evaluation_sets as
select
    chosen.eval_set_hash,
    chosen.collection,
    chosen.split,
    count(*) as videos,
    count(distinct member.label) as labels,
    count(distinct member.group_name) as groups,
    chosen.frozen_at,
    chosen.chosen_at = max(chosen.chosen_at) over () as is_current
from core.evaluation_set as chosen
inner join core.evaluation_video as member on chosen.evaluation_set_key = member.evaluation_set_key
group by
    chosen.eval_set_hash,
    chosen.collection,
    chosen.split,
    chosen.frozen_at,
    chosen.chosen_at;

comment on view evaluation_sets is
'One row per frozen evaluation set: labelled videos that never change, on which versions are compared.';
comment on column evaluation_sets.eval_set_hash is 'Hash of its video ids, labels and groups; as in promotions.';
comment on column evaluation_sets.collection is 'Collection that it was taken from.';
comment on column evaluation_sets.split is 'Split that it was taken from: train, val, test or all.';
comment on column evaluation_sets.videos is 'Videos in it.';
comment on column evaluation_sets.labels is 'Different labels.';
comment on column evaluation_sets.groups is 'Different groups.';
comment on column evaluation_sets.is_current is 'True for the set that promote uses by default.';
