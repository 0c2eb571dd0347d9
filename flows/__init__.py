"""Prefect flows: schedules, retries and visibility around the steps of vidpipe, one thin flow a file."""
