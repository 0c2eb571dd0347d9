-- Long videos are scored window by window: what a collection asks for, and what a prediction rests on.

alter table core.collection add column window_s double;
alter table core.collection add column stride_s double;

-- Null where the video was scored as a whole.
alter table core.prediction add column window_s double;
alter table core.prediction add column stride_s double;
