-- How feature drift stood after the last night of a collection with a version.
select
    drift.run_id,
    drift.statistic,
    drift.nights,
    coalesce(max(drift.run_id) filter (where drift.is_alarm) over (), 0) as alarm_run_id
from core.feature_drift as drift
inner join core.collection as c on drift.collection_key = c.collection_key
where
    drift.version_key = $version_key
    and c.name = $collection
order by drift.run_id desc
limit 1
