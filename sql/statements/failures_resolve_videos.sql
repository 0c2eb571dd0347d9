-- What an old reader misreads stays so, whatever a newer one makes of the video.
update core.failure
set status = 'resolved'
where
    status <> 'resolved'
    and error_class <> $misread
    and video_key in (
        select v.video_key
        from core.video as v
        inner join given on v.video_id = given.video_id
        where given.error_class is null
    )
