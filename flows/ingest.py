"""Ingest one collection. One task: listing, hashing and probing share one pass over the files."""

from typing import Any

from prefect import flow, task

from flows.fleet import ports_of
from flows.shared import RETRIES, publish_result
from vidpipe.steps.ingest import IngestReport, ingest


@task(**RETRIES)
def ingest_collection(home: str | None, collection: str, source: str, manifest: str | None) -> IngestReport:
    """List, hash, probe, record."""
    return ingest(ports_of(home), collection, source, manifest=manifest)


@flow(name="ingest", flow_run_name="ingest-{collection}")
def ingest_flow(
    collection: str, source: str, manifest: str | None = None, home: str | None = None
) -> dict[str, Any]:
    """Bring a collection up to date with its folder or manifest.

    Args:
        collection: Its name; a new name makes a new collection.
        source: Folder of videos, as the worker sees it, or prefix in a bucket.
        manifest: CSV with `path` and any of `label`, `group` and split columns; none when empty.
        home: Another home than the one that VIDPIPE_HOME names.
    """
    return publish_result(ingest_collection(home, collection, source, manifest))
