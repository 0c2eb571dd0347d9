-- Whoever holds the lock of those kinds of runs alone knows that earlier ones have ended.
update core.run
set
    status = 'crashed',
    finished_at = $now
where
    status = 'running'
    and list_contains($kinds, kind)
