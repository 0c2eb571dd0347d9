-- When videos were recorded, and the columns of a manifest that a collection declares with a type.

alter table core.collection add column attribute_types map (varchar, varchar);
alter table core.collection add column time_from_name varchar;
alter table core.collection add column time_zone varchar;

-- Declared attributes that parse, in the spelling that is cast to their types.
alter table core.collection_video add column typed map (varchar, varchar);
-- As manifest, name or the collection's time zone have it; null where core.video alone knows.
alter table core.collection_video add column recorded_at timestamp;
alter table core.collection_video add column recorded_at_source varchar;

alter table core.video add column recorded_at timestamp;
alter table core.video add column recorded_text varchar;
