"""Feature store: immutable Parquet parts, read by row offset."""
