-- Takes back the newest label of a video, if this source gave it since then.
delete from core.given_label
where
    collection_key = (select c.collection_key from core.collection as c where c.name = $collection)
    and video_key = (select v.video_key from core.video as v where v.video_id = $video_id)
    and source = $source
    and given_at >= $since
    and given_at = (
        select max(g.given_at)
        from core.given_label as g
        inner join core.collection as c on g.collection_key = c.collection_key
        inner join core.video as v on g.video_key = v.video_key
        where
            c.name = $collection
            and v.video_id = $video_id
    )
