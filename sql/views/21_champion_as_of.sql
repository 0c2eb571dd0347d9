-- One value per instant: the version that was champion then.
create or replace macro champion_as_of(ts) as (
    select promotion.to_version
    from core.promotion as promotion
    where
        promotion.is_final
        and promotion.decision in ('promoted', 'forced', 'rolled_back', 'external')
        and promotion.decided_at <= ts
    -- Ordered by id, not by time: a clock set back must not revive an earlier champion.
    order by promotion.promotion_id desc
    limit 1
);

-- Last in its file: sqlfluff cannot parse a comment on a macro.
comment on macro champion_as_of is -- noqa: PRS
'Model version that was champion at ts, a UTC timestamp; null before the first promotion.';
