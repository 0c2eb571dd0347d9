-- Long videos are scored window by window: what a collection asks for, and what a prediction rests on.

alter table core.collection add column window_s double;
alter table core.collection add column stride_s double;

-- Null where the video was scored as a whole.
alter table core.prediction add column window_s double;
alter table core.prediction add column stride_s double;

-- Parts of long videos that the manifest labels, as it was listed last.
create table core.labelled_span (
    collection_key integer not null,
    path varchar not null,
    start_s double not null,
    end_s double not null,
    label varchar not null
);

-- Null where a version is judged on all of the video.
alter table core.evaluation_video add column start_s double;
alter table core.evaluation_video add column end_s double;
