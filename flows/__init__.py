"""Prefect's side: schedule, retries, visibility. One thin flow a file; the steps do the work."""
