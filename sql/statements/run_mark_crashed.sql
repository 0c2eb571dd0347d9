-- Whoever takes the lease, or has a room beside it alone, knows that the runs of those kinds have ended.
update core.run
set
    status = 'crashed',
    finished_at = $now
where
    status = 'running'
    and list_contains($kinds, kind)
