-- Hashes of the frozen evaluation sets, the current one first.
select es.eval_set_hash
from core.evaluation_set as es
order by
    es.chosen_at desc,
    es.evaluation_set_key desc
