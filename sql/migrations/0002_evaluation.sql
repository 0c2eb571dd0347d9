-- Evaluation sets that never change, and what each version answered on its own held-out videos.

create sequence core.evaluation_set_keys;

create table core.evaluation_set (
    evaluation_set_key integer not null,
    eval_set_hash varchar not null,
    collection varchar not null,
    split varchar not null,
    frozen_at timestamp not null,
    chosen_at timestamp not null
);

create table core.evaluation_video (
    evaluation_set_key integer not null,
    video_key bigint not null,
    label varchar not null,
    group_name varchar not null
);

create table core.reference_prediction (
    model_version integer not null,
    label_key integer not null,
    score_bin utinyint not null,
    videos bigint not null
);
