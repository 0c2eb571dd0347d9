"""Prefect flow of `vidpipe ingest`: list, hash and probe the files of one collection, in one task.

Its parameters are the options of the command, with the same meaning: what is empty stays as the collection
has it, and `""` or `[""]` forgets a pattern where the command takes `''`.
"""

from collections.abc import Mapping
from typing import Any, Literal

from prefect import flow, task

from flows.executor import ports_of
from flows.shared import RETRIES, publish_result
from vidpipe.steps.ingest import IngestResult, ingest


@task(**RETRIES)
def ingest_collection(
    home: str | None, collection: str, source: str, options: Mapping[str, Any]
) -> IngestResult:
    """List, hash, probe and record the files of one collection."""
    return ingest(ports_of(home), collection, source, **options)


@flow(name="ingest", flow_run_name="ingest-{collection}")
def ingest_flow(
    collection: str,
    source: str,
    manifest: str | None = None,
    label_from: Literal["folder"] | None = None,
    window_s: float | None = None,
    stride_s: float | None = None,
    windows: Literal["shots"] | None = None,
    replace_source: bool = False,
    allow_missing: bool = False,
    include: list[str] | None = None,
    exclude: list[str] | None = None,
    attribute: list[str] | None = None,
    time_from_name: str | None = None,
    time_zone: str | None = None,
    multi_label: bool | None = None,
    home: str | None = None,
) -> dict[str, Any]:
    """Synchronise a collection with its folder, bucket or manifest.

    Args:
        collection: Its name; a new name makes a new collection.
        source: Folder of videos, as the worker sees it, prefix in a bucket, or a CSV manifest there.
        manifest: CSV with `path` and any of `label`, `group` and split columns; none when empty.
        label_from: `folder`: the name of the top folder is the label.
        window_s: Score long videos in windows of so many seconds; 0: as a whole; as before when empty.
        stride_s: Seconds from the start of one window to that of the next; half a window when empty.
        windows: `shots`: each shot is a window, found by a network (`vidpipe[shots]`); as before when empty.
        replace_source: Give an existing collection another source.
        allow_missing: Accept a source that is empty or has lost more than half of its videos.
        include: Take only files that match one of these patterns, such as `*.mp4`; as before when empty.
        exclude: Pass over files and folders that match one of these; as before when empty.
        attribute: Typed columns of the manifest, such as `temperature:double`; as before when empty.
        time_from_name: Recording times in file names, such as `cam_%Y%m%d_%H%M%S`; as before when empty.
        time_zone: Zone of recording times that name none: `Europe/Berlin`, `+02:00`; as before when empty.
        multi_label: A video may have several labels, with a bar between two; as before when empty.
        home: Another home than the one that VIDPIPE_HOME names.
    """
    options = {
        "manifest": manifest, "label_from": label_from, "window_s": window_s, "stride_s": stride_s,
        "windows": windows, "replace_source": replace_source, "allow_missing": allow_missing,
        "include": include, "exclude": exclude, "attributes": attribute, "time_from_name": time_from_name,
        "time_zone": time_zone, "multi_label": multi_label,
    }  # fmt: skip
    return publish_result(ingest_collection(home, collection, source, options))
