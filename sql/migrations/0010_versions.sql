-- MLflow's number is unique in one registered model of one store only: a model that was deleted and trained anew,
-- another VIDPIPE_MODEL_NAME or another tracking server count from 1 again. A version is its model, its number
-- and the digest of what was registered.

create sequence core.version_keys;

-- Rows of the version that has the number (is_current) stand under it in the tables below, those of any other
-- under its negated key. The digest is null where rows are older than this table.
create table core.version (
    version_key integer not null,
    model_name varchar not null,
    model_version integer not null,
    digest varchar,
    is_current boolean not null
);

alter table core.promotion add column to_version_key integer;

insert into core.version (version_key, model_name, model_version, digest, is_current)
with used as (
    select
        m.model_name,
        p.model_version,
        p.predicted_at as used_at
    from core.prediction as p
    inner join core.model as m on p.model_key = m.model_key
    union all
    select
        p.model_name,
        p.to_version as model_version,
        p.decided_at as used_at
    from core.promotion as p
    where p.to_version is not null
),

known as (
    select
        used.model_name,
        used.model_version,
        max(used.used_at) as last_at
    from used
    group by
        used.model_name,
        used.model_version
)

select
    nextval('core.version_keys') as version_key,
    known.model_name,
    known.model_version,
    null as digest,
    row_number() over (partition by known.model_version order by known.last_at desc, known.model_name asc) = 1
        as is_current
from known;

update core.promotion
set to_version_key = v.version_key
from core.version as v
where
    core.promotion.model_name = v.model_name
    and core.promotion.to_version = v.model_version;

update core.prediction
set model_version = -v.version_key
from core.version as v, core.model as m
where
    not v.is_current
    and m.model_name = v.model_name
    and core.prediction.model_key = m.model_key
    and core.prediction.model_version = v.model_version;

update core.window_prediction
set model_version = -v.version_key
from core.version as v, core.model as m
where
    not v.is_current
    and m.model_name = v.model_name
    and core.window_prediction.model_key = m.model_key
    and core.window_prediction.model_version = v.model_version;
