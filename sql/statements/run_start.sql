insert into core.run (run_id, kind, status, started_at)
values (nextval('core.run_ids'), $kind, 'running', $now)
returning run_id
