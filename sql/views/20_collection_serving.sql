-- One row per collection that a model version serves.
create or replace view collection_serving as
select
    collection.name as collection,
    serving.model_version,
    serving.since
from core.collection_serving as serving
inner join core.collection as collection on serving.collection_key = collection.collection_key;

comment on view collection_serving is
'One row per collection that a model version serves; a collection switches as a whole.';
comment on column collection_serving.model_version is 'Version that serves the collection.';
