-- The working tables. People read the views of `main`; `core` holds integer keys and may change.
-- No primary keys on the large tables (ten million rows load nine times faster without); the writing
-- transactions anti-join instead. No foreign keys: they block updates in DuckDB.

create schema if not exists core;

create sequence core.video_keys;
create sequence core.collection_keys;
create sequence core.feature_set_keys;
create sequence core.label_keys;
create sequence core.model_keys;
create sequence core.run_ids;
create sequence core.promotion_ids;

create table core.video (
    video_key bigint not null,
    video_id varchar not null,
    bytes bigint not null,
    container varchar,
    video_codec varchar,
    width_px integer,
    height_px integer,
    rotation integer,
    source_fps double,
    is_vfr boolean,
    duration_s double,
    frames_expected bigint,
    frames_decoded bigint,
    decode_errors bigint,
    verdict varchar,
    black_share double,
    frozen_share double,
    forgotten_at timestamp
);

create table core.collection (
    collection_key integer not null,
    name varchar not null,
    source varchar not null,
    manifest varchar,
    label_from varchar,
    created_at timestamp not null
);

create table core.collection_video (
    collection_key integer not null,
    path varchar not null,
    video_key bigint,
    label varchar,
    group_name varchar,
    splits map (varchar, varchar),
    present boolean not null,
    size_bytes bigint,
    mtime_ns bigint,
    inode ubigint,
    first_seen_at timestamp not null,
    last_seen_at timestamp not null
);

create table core.feature_set (
    feature_set_key integer not null,
    feature_set_id varchar not null,
    spec json not null,
    created_at timestamp not null
);

create table core.video_feature (
    video_key bigint not null,
    feature_set_key integer not null,
    n_frames integer not null,
    part varchar not null,
    row_offset bigint not null,
    numerics varchar not null,
    run_id bigint not null
);

create table core.failure (
    collection_key integer not null,
    path varchar not null,
    video_key bigint,
    stage varchar not null,
    error_class varchar not null,
    message varchar not null,
    attempts integer not null,
    status varchar not null,
    first_at timestamp not null,
    last_at timestamp not null
);

create table core.run (
    run_id bigint not null,
    kind varchar not null,
    status varchar not null,
    started_at timestamp not null,
    finished_at timestamp,
    videos bigint,
    frames bigint,
    failed bigint,
    seconds double,
    detail json
);

create table core.model (
    model_key smallint not null,
    model_name varchar not null
);

create table core.label (
    label_key integer not null,
    label varchar not null
);

create table core.prediction (
    video_key bigint not null,
    model_key smallint not null,
    model_version integer not null,
    feature_set_key integer not null,
    rank utinyint not null,
    label_key integer not null,
    score float not null,
    run_id bigint not null,
    predicted_at timestamp not null
);

create table core.window_prediction (
    video_key bigint not null,
    model_key smallint not null,
    model_version integer not null,
    feature_set_key integer not null,
    start_s double not null,
    end_s double not null,
    rank utinyint not null,
    label_key integer not null,
    score float not null,
    run_id bigint not null,
    predicted_at timestamp not null
);

create table core.promotion (
    promotion_id bigint not null,
    model_name varchar not null,
    from_version integer,
    to_version integer,
    decision varchar not null,
    evidence json not null,
    eval_set_hash varchar,
    reason varchar,
    actor varchar not null,
    decided_at timestamp not null,
    is_final boolean not null
);

create table core.collection_serving (
    collection_key integer not null,
    model_version integer not null,
    since timestamp not null
);

create table core.migration (
    version integer not null,
    name varchar not null,
    applied_at timestamp not null
);

-- One row: which text of sql/views this file carries.
create table core.views_applied (
    views_hash varchar not null
);
