update core.failure
set status = 'resolved'
where
    status <> 'resolved'
    and video_key in (
        select v.video_key
        from core.video as v
        inner join given on v.video_id = given.video_id
        where given.error_class is null
    )
