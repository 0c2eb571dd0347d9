-- Labels that people give after ingest. Rows are only added: the newest one holds, the others are its history.

create table core.given_label (
    collection_key integer not null,
    video_key bigint not null,
    label varchar not null,
    source varchar not null,
    given_at timestamp not null
);
