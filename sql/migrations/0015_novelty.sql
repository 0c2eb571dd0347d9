-- How unlike each video is to all that a version was trained on, and how that is told, by version.

create table core.novelty_model (
    version_key integer not null,
    weights blob not null,
    videos bigint not null,
    created_at timestamp not null
);

create table core.video_novelty (
    video_key bigint not null,
    version_key integer not null,
    novelty float not null
);
