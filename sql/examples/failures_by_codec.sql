-- Where does the pipeline fail: at which stage, with which error, on which codec?
select
    failure.stage,
    failure.error_class,
    coalesce(video.video_codec, 'unknown') as video_codec,
    count(*) as failures,
    count(*) filter (where failure.status = 'quarantined') as quarantined,
    max(failure.last_at) as last_at,
    min(failure.path) as example_path
from failures as failure
left join videos as video on failure.video_id = video.video_id
where failure.status <> 'resolved'
group by failure.stage, failure.error_class, coalesce(video.video_codec, 'unknown')
order by failures desc, failure.stage asc, failure.error_class asc;
