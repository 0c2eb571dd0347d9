-- Rows of predictions, of videos and of windows, that were written before a moment.
select
    (select count(*) from core.prediction where predicted_at < $before)
    + (select count(*) from core.window_prediction where predicted_at < $before) as predictions
