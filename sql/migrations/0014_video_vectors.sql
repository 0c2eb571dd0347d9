-- One pooled, L2-normalised vector per video and feature set, rounded to float16, and how it is made.

create table core.projection (
    feature_set_key integer not null,
    sha256 varchar not null,
    weights blob not null,
    videos bigint not null,
    created_at timestamp not null
);

create table core.video_vector (
    video_key bigint not null,
    feature_set_key integer not null,
    vector float[128] not null
);
