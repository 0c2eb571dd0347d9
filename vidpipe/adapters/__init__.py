"""Adapters: the only code that touches file trees, buckets, ffmpeg, Parquet, MLflow and DuckDB."""
