-- What is read of a file with several streams, and how its picture is meant to be seen.

alter table core.video add column stream_index integer;
alter table core.video add column stream_count integer;
alter table core.video add column mirrored boolean;
alter table core.video add column field_order varchar;
alter table core.video add column sample_aspect_ratio varchar;
alter table core.video add column display_width_px integer;
alter table core.video add column display_height_px integer;
alter table core.video add column times_assumed boolean;

-- Of other containers it was duration times frame rate, and both lie.
update core.video
set frames_expected = null
where
    container not like 'mov,%'
    and container not in ('avi', 'gif');
