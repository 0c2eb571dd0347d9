-- One row per collection and path, with the label that holds: the newest that a person gave, else the listed one.
create or replace view core.item as
with newest as (
    select
        collection_key,
        video_key,
        arg_max(label, given_at) as label,
        arg_max(source, given_at) as source,
        max(given_at) as given_at
    from core.given_label
    group by collection_key, video_key
)

select
    listed.collection_key,
    listed.path,
    listed.video_key,
    coalesce(newest.label, listed.label) as label,
    case
        when coalesce(newest.label, listed.label) is null then null
        when collection.multi_label then string_split(coalesce(newest.label, listed.label), '|')
        else [coalesce(newest.label, listed.label)]
    end as labels,
    case
        when newest.label is not null then newest.source
        when listed.label is not null then coalesce(collection.label_from, 'manifest')
    end as label_source,
    newest.given_at as labelled_at,
    listed.group_name,
    listed.splits,
    listed.attributes,
    listed.recorded_at,
    listed.recorded_at_source,
    listed.present,
    listed.etag,
    listed.first_seen_at,
    listed.last_seen_at
from core.collection_video as listed
inner join core.collection as collection on listed.collection_key = collection.collection_key
left join newest
    on
        listed.collection_key = newest.collection_key
        and listed.video_key = newest.video_key;

comment on view core.item is
'Internal: collection_videos with integer keys.';
comment on column core.item.path is 'Path of the file, relative to the collection''s source.';
comment on column core.item.video_key is 'The video; null while the file could not be read.';
comment on column core.item.label is 'Known label, if any, or set of labels.';
comment on column core.item.labels is 'Known labels as a list; null without any.';
comment on column core.item.label_source is 'Where the label comes from.';
comment on column core.item.labelled_at is 'When a person gave it, UTC; null for a listed one.';
comment on column core.item.recorded_at is 'Start of the recording, UTC; null where the container alone says.';
comment on column core.item.etag is 'Object storage''s mark of the content; null for a file.';
