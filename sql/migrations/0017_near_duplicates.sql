-- Pairs of videos that show the same frames, and which videos have been compared with all that were there.

create table core.near_duplicate (
    video_key bigint not null,
    other_video_key bigint not null,
    feature_set_key integer not null,
    similarity float not null,
    start_s double not null,
    end_s double not null,
    other_start_s double not null,
    other_end_s double not null,
    frames integer not null
);

create table core.compared_video (
    video_key bigint not null,
    feature_set_key integer not null
);
