"""The ledger and the warehouse in DuckDB: the only place that imports duckdb."""
