-- What happened last night, and when? Segments of the videos scored last that reach 0.8, first where the model is surest.
select
    collection,
    label,
    path,
    start_s,
    end_s,
    round(peak_score, 3) as peak_score
from events
where
    peak_score >= 0.8
    and predicted_at >= (select max(top.predicted_at) - interval 1 day from latest_predictions as top)
order by collection asc, label asc, peak_score desc, path asc, start_s asc;
