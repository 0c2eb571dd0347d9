-- Resolve failures of videos that succeeded; misreads by an old reader remain.
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
