"""Prefect flow of `vidpipe ingest`: list, hash and probe the files of one collection, in one task."""

from typing import Any

from prefect import flow, task

from flows.executor import ports_of
from flows.shared import RETRIES, publish_result
from vidpipe.steps.ingest import IngestResult, ingest


@task(**RETRIES)
def ingest_collection(
    home: str | None,
    collection: str,
    source: str,
    manifest: str | None,
    window_s: float | None,
    stride_s: float | None,
) -> IngestResult:
    """List, hash, probe and record the files of one collection."""
    return ingest(ports_of(home), collection, source, manifest=manifest, window_s=window_s, stride_s=stride_s)


@flow(name="ingest", flow_run_name="ingest-{collection}")
def ingest_flow(
    collection: str,
    source: str,
    manifest: str | None = None,
    window_s: float | None = None,
    stride_s: float | None = None,
    home: str | None = None,
) -> dict[str, Any]:
    """Synchronise a collection with its folder, bucket or manifest.

    Args:
        collection: Its name; a new name makes a new collection.
        source: Folder of videos, as the worker sees it, or prefix in a bucket.
        manifest: CSV with `path` and any of `label`, `group` and split columns; none when empty.
        window_s: Score long videos in windows of so many seconds; 0: as a whole; as before when empty.
        stride_s: Seconds from the start of one window to that of the next; half a window when empty.
        home: Another home than the one that VIDPIPE_HOME names.
    """
    return publish_result(ingest_collection(home, collection, source, manifest, window_s, stride_s))
