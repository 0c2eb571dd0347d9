update core.run
set
    status = $status,
    finished_at = $now,
    videos = $videos,
    frames = $frames,
    failed = $failed,
    seconds = $seconds,
    detail = $detail
where run_id = $run_id
