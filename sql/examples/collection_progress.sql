-- How far is each collection, and which model version serves it?
select
    collection,
    present,
    with_features,
    classified,
    failing,
    round(classified / nullif(present, 0), 3) as classified_share,
    serving_version,
    serving_since,
    last_classified_at
from collection_summary
order by collection;
