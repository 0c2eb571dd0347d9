-- Whoever takes the lease knows that the runs which needed it have ended.
update core.run
set
    status = 'crashed',
    finished_at = $now
where
    status = 'running'
    and kind in ('ingest', 'extract', 'classify', 'nightly', 'retry', 'gc', 'forget')
