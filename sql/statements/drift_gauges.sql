-- Evidence of feature drift as the last night of each collection left it, with the champion alone.
select
    collection,
    arg_max(e_value, run_id) as e_value
from feature_drift
where version = champion_as_of('infinity'::timestamp)
group by collection
order by collection
