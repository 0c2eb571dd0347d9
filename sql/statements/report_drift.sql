-- Feature drift of one night.
select
    collection,
    version,
    videos,
    distance,
    e_value,
    alarmed,
    p_features is not null as is_compared
from feature_drift
where run_id = $run_id
order by
    alarmed desc,
    e_value desc,
    collection asc
