-- When in a long video does each label show up? Its segments, in order of time.
select
    collection,
    path,
    start_s,
    end_s,
    label,
    round(peak_score, 3) as peak_score,
    round(mean_score, 3) as mean_score
from timeline
order by collection, path, start_s;
