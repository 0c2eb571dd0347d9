-- Replace the novelty of the given videos for a version.
delete from core.video_novelty
where
    version_key = $version_key
    and video_key in (
        select v.video_key
        from core.video as v
        inner join given on v.video_id = given.video_id
    );

insert into core.video_novelty (video_key, version_key, novelty)
select
    v.video_key,
    $version_key as version_key,
    given.novelty
from given
inner join core.video as v on given.video_id = v.video_id
