-- How far each night's videos are from what the champion was trained on, and the features that tell it.

create table core.feature_drift (
    run_id bigint not null,
    collection_key integer not null,
    version_key integer not null,
    videos bigint not null,
    distance double,
    p_features double,
    p_recording double,
    statistic double not null,
    nights integer not null,
    is_alarm boolean not null,
    seen_until timestamp not null,
    measured_at timestamp not null
);

-- Videos that later nights are compared with: of a version's training (no collection), and of nights. The features
-- are means over time, as float16.
create table core.drift_video (
    version_key integer not null,
    collection_key integer,
    run_id bigint not null,
    video_key bigint not null,
    features blob not null
);
