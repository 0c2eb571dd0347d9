-- Segments of the long videos of one collection or of all, in order of time.
select
    collection,
    path,
    start_s,
    end_s,
    label,
    peak_score::double as peak_score
from timeline
where $collection is null or collection = $collection
order by collection, path, start_s
