-- One row per collection and path: the given files, whose bytes have just been read.
merge into core.collection_video as target
using (
    select
        c.collection_key,
        v.video_key,
        given.*
    from given
    inner join core.collection as c on c.name = $collection
    left join core.video as v on given.video_id = v.video_id
) as fresh
    on target.collection_key = fresh.collection_key and target.path = fresh.path
when matched then
    update
        set
            video_key = fresh.video_key,
            label = fresh.label,
            group_name = fresh.group_name,
            splits = fresh.splits,
            present = true,
            size_bytes = fresh.size_bytes,
            mtime_ns = fresh.mtime_ns,
            inode = fresh.inode,
            etag = fresh.etag,
            ctime_ns = fresh.ctime_ns,
            attributes = fresh.attributes,
            last_seen_at = $now
when not matched then insert (
    collection_key, path, video_key, label, group_name, splits, present, size_bytes, mtime_ns, inode,
    etag, ctime_ns, attributes, first_seen_at, last_seen_at
)
values (
    fresh.collection_key, fresh.path, fresh.video_key, fresh.label, fresh.group_name, fresh.splits, true,
    fresh.size_bytes, fresh.mtime_ns, fresh.inode, fresh.etag, fresh.ctime_ns, fresh.attributes, $now, $now
)
