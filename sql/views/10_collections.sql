-- One row per collection.
create or replace view collections as
select
    name as collection,
    source,
    manifest,
    label_from,
    created_at,
    window_s,
    stride_s,
    include_globs,
    exclude_globs,
    attribute_types,
    time_from_name,
    coalesce(time_zone, 'UTC') as time_zone,
    coalesce(multi_label, false) as multi_label
from core.collection;

comment on view collections is
'One row per collection: a named set of videos with one source.';
comment on column collections.source is 'Folder or URI that the videos come from.';
comment on column collections.created_at is 'When it was first ingested, UTC.';
comment on column collections.window_s is
'Length in seconds of the windows that its videos are scored in; 0: their shots; null where each is scored as a whole.';
comment on column collections.attribute_types is
'Columns of the manifest that --attribute declares, to their types: those of the view attributes_<collection>.';
comment on column collections.time_from_name is
'Pattern of file names that the recording time is read from, as --time-from-name gave it.';
comment on column collections.time_zone is
'Zone of recording times that name none, as --time-zone gave it. Stored times are UTC.';
