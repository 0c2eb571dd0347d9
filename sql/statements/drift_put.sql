-- Without seen_until the same videos wait for the next night.
insert into core.feature_drift (
    run_id, collection_key, version_key, videos, distance, p_features, p_recording, statistic, nights, is_alarm,
    seen_until, measured_at
)
select
    $run_id as run_id,
    c.collection_key,
    $version_key as version_key,
    $videos as videos,
    $distance as distance,
    $p_features as p_features,
    $p_recording as p_recording,
    $statistic as statistic,
    $nights as nights,
    $is_alarm as is_alarm,
    coalesce($seen_until::timestamp, '-infinity'::timestamp) as seen_until,
    $now as measured_at
from core.collection as c
where c.name = $collection
