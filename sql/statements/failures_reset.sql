-- Reset failures for a retry: attempts, quarantine and verdicts.
update core.video
set verdict = null
where
    verdict not in ('ok', 'partial', 'blank')
    and video_key in (
        select f.video_key
        from core.failure as f
        inner join core.collection as c on f.collection_key = c.collection_key
        where
            f.status in ('retry', 'quarantined')
            and ($collection is null or c.name = $collection)
    );

update core.failure
set
    status = 'retry',
    attempts = 0
where
    status in ('retry', 'quarantined')
    and (
        $collection is null
        or collection_key in (select c.collection_key from core.collection as c where c.name = $collection)
    )
returning path
