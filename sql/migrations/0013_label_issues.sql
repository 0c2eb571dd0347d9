-- Labelled videos whose label disagrees with out-of-fold scores, by the last `label-issues` of their collection.

create table core.label_check (
    collection_key integer not null,
    dataset_hash varchar not null,
    videos bigint not null,
    unjudged bigint not null,
    checked_at timestamp not null
);

create table core.label_issue (
    collection_key integer not null,
    video_key bigint not null,
    rank bigint not null,
    label varchar not null,
    suggested varchar not null,
    label_score double not null,
    suggested_score double not null,
    is_confident boolean not null
);
