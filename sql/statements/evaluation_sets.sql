-- Hashes of the frozen sets, the one that judges first.
select es.eval_set_hash
from core.evaluation_set as es
order by
    es.chosen_at desc,
    es.evaluation_set_key desc
