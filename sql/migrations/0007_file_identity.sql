-- When the file system last changed a file: with size, mtime and inode it tells whether the bytes are those that
-- were hashed. Unlike the mtime, no program can set it back.
alter table core.collection_video add column ctime_ns bigint;

-- What a manifest says of a video in columns that are neither label, group nor split.
alter table core.collection_video add column attributes map (varchar, varchar);
