-- The videos of the named evaluation set, or of the current one.
with chosen as (
    select
        es.evaluation_set_key,
        es.collection,
        es.split
    from core.evaluation_set as es
    where
        $eval_set_hash is null
        or es.eval_set_hash = $eval_set_hash
    order by
        es.chosen_at desc,
        es.evaluation_set_key desc
    limit 1
)

select
    chosen.collection,
    chosen.split,
    v.video_id,
    ev.label,
    ev.group_name,
    coalesce(ev.start_s, 0) as start_s,
    coalesce(ev.end_s, 'infinity'::double) as end_s,
    coalesce(c.multi_label, false) as multi_label
from chosen
left join core.collection as c on chosen.collection = c.name
inner join core.evaluation_video as ev on chosen.evaluation_set_key = ev.evaluation_set_key
inner join core.video as v on ev.video_key = v.video_key
order by
    v.video_id asc,
    start_s asc
