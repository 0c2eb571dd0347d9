"""DuckDB databases: the working ledger and the published, read-only warehouse."""
