-- Insert an evaluation set; freezing the same videos, labels and groups again only makes it current.
insert into core.evaluation_set (
    evaluation_set_key, eval_set_hash, collection, split, frozen_at, chosen_at
)
select
    nextval('core.evaluation_set_keys') as evaluation_set_key,
    $eval_set_hash as eval_set_hash,
    $collection as collection,
    $split as split,
    $now as frozen_at,
    $now as chosen_at
where not exists (
    select 1
    from core.evaluation_set as es
    where es.eval_set_hash = $eval_set_hash
);

insert into core.evaluation_video (evaluation_set_key, video_key, label, group_name, start_s, end_s)
select
    es.evaluation_set_key,
    v.video_key,
    given.label,
    given.group_name,
    given.start_s,
    given.end_s
from given
inner join core.video as v on given.video_id = v.video_id
inner join core.evaluation_set as es on es.eval_set_hash = $eval_set_hash
where not exists (
    select 1
    from core.evaluation_video as ev
    where ev.evaluation_set_key = es.evaluation_set_key
);

update core.evaluation_set
set chosen_at = $now
where eval_set_hash = $eval_set_hash
