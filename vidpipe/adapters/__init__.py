"""The outside world: file trees, ffmpeg, Parquet, MLflow, DuckDB. Nothing else touches them."""
