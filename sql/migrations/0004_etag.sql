-- Sources in object storage: with the size, what tells whether an object has been replaced.

alter table core.collection_video add column etag varchar;
