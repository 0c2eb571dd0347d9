-- Nights on which the shadow challenger agreed with this champion on nearly all labels.
select count(distinct r.started_at::date) as nights
from core.run as r
where
    r.kind = 'nightly'
    and try_cast(r.detail ->> '$.shadow.version' as integer) = $challenger
    and try_cast(r.detail ->> '$.shadow.champion' as integer) = $champion
    -- Nights from before digests were recorded have version numbers only.
    and coalesce(r.detail ->> '$.shadow.digest', $challenger_digest) = $challenger_digest
    and coalesce(r.detail ->> '$.shadow.champion_digest', $champion_digest) = $champion_digest
    and try_cast(r.detail ->> '$.shadow.compared' as bigint) > 0
    and
    try_cast(r.detail ->> '$.shadow.agreeing' as bigint)
    >= $agreement * try_cast(r.detail ->> '$.shadow.compared' as bigint)
