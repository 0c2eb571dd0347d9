-- Who changed the champion, when, and why?
select
    decided_at,
    decision,
    from_version,
    to_version,
    actor,
    reason,
    champion_as_of(decided_at) as champion_after
from promotions
order by decided_at desc, promotion_id desc;
