-- Collections whose videos may have several labels, and labels over their threshold.

alter table core.collection add column multi_label boolean;
-- Null in rows of versions that give a video one label.
alter table core.prediction add column over_threshold boolean;
alter table core.window_prediction add column over_threshold boolean;
