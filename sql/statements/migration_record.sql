insert into core.migration (version, name, applied_at)
values ($version, $name, $now)
