-- Mark open runs as crashed; the caller holds the exclusive lock of these kinds, so none is running.
update core.run
set
    status = 'crashed',
    finished_at = $now
where
    status = 'running'
    and list_contains($kinds, kind)
