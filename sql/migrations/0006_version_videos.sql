-- From which videos a version was made: whether it may be judged on one, and what it keeps of a forgotten one.

create table core.version_video (
    model_version integer not null,
    video_key bigint not null,
    split varchar not null
);
