"""Features in Parquet parts, written once and read by row offset."""
