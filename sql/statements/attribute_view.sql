-- Template of a view attributes_<collection>: one row per path. attribute_views.py fills in the view's name, that of
-- the collection, and the declared columns.
create view attributes_view as
select
    collection.name as collection,
    listed.path,
    video.video_id,
    listed.present,
    null as declared_columns
from core.collection_video as listed
inner join core.collection as collection on listed.collection_key = collection.collection_key
left join core.video as video on listed.video_key = video.video_key
where collection.name = 'collection_name';

comment on view attributes_view is
'One row per path of the collection: the columns of its manifest that --attribute declares, with their types.';
comment on column attributes_view.collection is 'Name of the collection.';
comment on column attributes_view.path is 'Path of the file, relative to the collection''s source.';
comment on column attributes_view.video_id is
'SHA-256 of the file''s bytes; null while the file could not be read.';
comment on column attributes_view.present is 'False when the path is no longer there.';
