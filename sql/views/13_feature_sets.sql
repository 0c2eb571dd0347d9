-- One row per feature set.
create or replace view feature_sets as
select
    feature_set_id,
    spec,
    created_at
from core.feature_set;

comment on view feature_sets is
'One row per feature spec: how frames become features.';
comment on column feature_sets.created_at is 'When it was first used, UTC.';
