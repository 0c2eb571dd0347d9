-- Promotion decisions until the run's end, newest first, and the champion at that time.
select
    promotion_id,
    decision,
    from_version,
    to_version,
    reason,
    actor,
    decided_at,
    evidence,
    champion_as_of($until) as champion
from promotions
where decided_at <= $until
order by promotion_id desc
limit $most
