insert into core.label (label_key, label)
select
    nextval('core.label_keys') as label_key,
    fresh.label
from (select distinct given.label from given) as fresh
where not exists (select 1 from core.label as l where l.label = fresh.label)
