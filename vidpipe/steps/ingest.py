"""Ingest a collection: list its source, hash and probe what changed, record what is present.

Videos are identified by content: a moved or copied file is the same video, and an unchanged one (size, mtime,
inode; of an object, size and etag) is not read again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.ports import Ports
from vidpipe.records.globs import counted
from vidpipe.records.label_sets import names_in
from vidpipe.records.names import look_alikes
from vidpipe.records.videos import Collection, Failure, Listing, Place, SourceFile
from vidpipe.steps.collection_request import requested
from vidpipe.steps.describe import RECORDED_AT, describe
from vidpipe.steps.hash_and_probe import loads, read_files
from vidpipe.steps.label_kinds import with_stored_labels
from vidpipe.steps.runs import Result, RunLog, recorded
from vidpipe.uris import is_uri

log = logging.getLogger(__name__)

SHOWN_BAD_VALUES = 5
"""So many are logged; all of them are recorded."""


@dataclass(frozen=True, slots=True)
class IngestResult(Result):
    """Result of `vidpipe ingest`."""

    run_id: int
    collection: str
    videos: int
    """new + unchanged"""
    new: int
    """Paths whose bytes were read: new or changed files."""
    unchanged: int
    removed: int
    """Paths that became absent."""
    failed: int
    """Failures recorded by this run."""
    failed_again: int
    """Of these, bad videos that were tried again."""
    waiting: int
    """Files that still change, left to the next night: no failures."""
    read_bytes: int
    """Bytes that were read to be hashed."""
    labels: int
    """Different ones that the listing gives, by manifest or folder."""
    unlabelled: int
    """Paths without a label."""
    groups: int
    splits: Mapping[str, Mapping[str, int]]
    """By split column: paths in train, val and test."""
    columns_kept: Sequence[str]
    """Columns of the manifest that say what a video is."""
    columns_not_understood: Sequence[str]
    """All others that have a value: stored as the video's attributes."""
    warnings: Sequence[str]
    bad_values: int
    """Paths of which a stated value does not parse: failures of stage `describe`."""
    passed_over: Mapping[str, int]
    """By suffix: files that are no videos, or that the collection's patterns leave out."""


def ingest(
    ports: Ports,
    collection: str,
    source: str | Path,
    *,
    manifest: str | Path | None = None,
    label_from: str | None = None,
    window_s: float | None = None,
    stride_s: float | None = None,
    windows: str | None = None,
    replace_source: bool = False,
    allow_missing: bool = False,
    include: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
    attributes: Sequence[str] | None = None,
    time_from_name: str | None = None,
    time_zone: str | None = None,
    multi_label: bool | None = None,
    retry_failed: bool = False,
    between: Callable[[], object] | None = None,
) -> IngestResult:
    """Synchronise a collection with its source.

    Args:
        ports: The outside world.
        collection: Its name; a new name makes a new collection.
        source: Folder of videos, prefix in a bucket (`s3://BUCKET/PREFIX`), or a CSV manifest there.
        manifest: Path or URI of a CSV with `path` (relative to the source) and any of `label`, `group`,
            split columns.
        label_from: `folder` takes the top folder's name as label.
        window_s: Score the videos in windows of so many seconds; 0 for each as a whole.
        stride_s: From the start of one window to that of the next; default: half a window.
        windows: `shots`: score them in shots, found by a network (`vidpipe[shots]`).
        replace_source: Allow another source than the collection's own.
        allow_missing: Accept a listing that is empty, or lost more than half.
        include: Glob patterns of the files to take; None: as before, at first all (see records/globs.py).
        exclude: Glob patterns of the files to pass over.
        attributes: Typed columns of the manifest, such as `temperature:double`; None: as before.
        time_from_name: Pattern of recording times in file names, as of strptime; None: as before, '': none.
        time_zone: Of recording times that name none; None: as before, at first UTC.
        multi_label: Labels are sets of names with bars between them, `a|b`; None: as before, at first not.
        retry_failed: Probe known-bad, unchanged videos again.
        between: Called after each load, when there are more new objects than staging holds together: whoever
            extracts then finds them on the disk.

    Raises:
        ConfigurationError: The source, the manifest or the request cannot be right.
        LeaseHeld: Another run is at work.
        StorageUnreachable: The bucket cannot be listed or read now.
    """
    with recorded(ports, "ingest") as run:
        wanted = requested(
            ports, collection, source, manifest, label_from, window_s=window_s, stride_s=stride_s,
            windows=windows, replace_source=replace_source, include=include, exclude=exclude,
            attributes=attributes, time_from_name=time_from_name, time_zone=time_zone,
            multi_label=multi_label,
        )  # fmt: skip
        listing = with_stored_labels(wanted, _listing(ports, wanted, allow_missing=allow_missing))
        files = listing.files
        ports.ledger.sources.put_collection(wanted)
        changes = ports.ledger.sources.changes(collection, files)
        changed, again = changes.changed, changes.probe_due if retry_failed else set[str]()
        new = 0
        for load in loads(ports, wanted, [f for f in files if f.path in changed], split=bool(between)):
            new += read_files(ports, run, wanted, load, again=False)
            if between and len(load) < len(changed):
                between()
        read_files(ports, run, wanted, [f for f in files if f.path in again], again=True)
        files, bad = describe(ports, wanted, files)
        removed = ports.ledger.sources.put_listing(collection, files)
        _record_bad_values(ports, run, collection, bad)
        unchanged = len(files) - len(changed)
        run.videos = new + unchanged
        run.detail = {
            "collection": collection, "new": new, "removed": removed, "passed_over": dict(listing.passed_over)
        }  # fmt: skip
        return IngestResult(
            run.run_id, collection, run.videos, new, unchanged, removed, run.failed, run.failed_again,
            run.waiting, run.read_bytes, bad_values=len(bad), **_taken(wanted, listing),
        )  # fmt: skip


def ingest_again(
    ports: Ports, name: str, *, allow_missing: bool = False, between: Callable[[], object] | None = None
) -> IngestResult:
    """Ingest a collection from its recorded source, retrying bad videos, as nights do."""
    known = ports.ledger.sources.collection(name)
    if known is None:
        raise NotFound(f"no collection {name!r}.", next_step="vidpipe collections lists them.")
    return ingest(
        ports, name, known.source, manifest=known.manifest, label_from=known.label_from,
        allow_missing=allow_missing, retry_failed=True, between=between,
    )  # fmt: skip


# -- what is there ------------------------------------------------------------------------------


def _listing(ports: Ports, wanted: Collection, *, allow_missing: bool) -> Listing:
    """List the source; refuses a listing that is empty or has lost over half of the known files.

    What a pattern leaves out is not lost.
    """
    source = wanted.source
    known = {path for path in ports.ledger.sources.present_paths(wanted.name) if wanted.globs.take(path)}
    missing: list[str] = []
    if wanted.manifest:
        listing, missing = _named(ports, wanted, wanted.manifest)
        unknown = [path for path in missing if path not in known]
        if unknown and not allow_missing:
            raise ConfigurationError(
                f"{wanted.manifest} names {unknown[0]}"
                f"{f' and {len(unknown) - 1} more' if len(unknown) > 1 else ''}, not found in {source}.",
                next_step="correct the manifest or the source, or pass --allow-missing.",
            )
        _record_missing(ports, wanted, unknown)
    else:
        listing = _found(ports, wanted)
    files = listing.files
    lost = len(known - {f.path for f in files})
    if not allow_missing and wanted.manifest and not files and not missing:
        raise ConfigurationError(
            f"{wanted.manifest} names no video: it has no line below its header, or patterns leave all out.",
            next_step="give it a line for each video; pass --allow-missing if there are meant to be none.",
        )
    if not allow_missing and not files and not known and listing.passed_over:
        raise ConfigurationError(
            f"no video among {counted(listing.passed_over)} in {source}.",
            next_step="check the folder and the collection's --include and --exclude; --include '*.SUFFIX' "
            "takes files as videos whatever their suffix.",
        )
    if not allow_missing and (not files or 2 * lost > len(known) > 0):
        raise ConfigurationError(
            f"{source} lists {len(files)} videos; {lost} of {len(known)} known ones are gone.",
            next_step="check that it is mounted; pass --allow-missing if they were renamed, or are meant to "
            "be gone: the same bytes under another name are the same video, and nothing is computed again.",
        )
    return listing


def _record_bad_values(ports: Ports, run: RunLog, collection: str, bad: Sequence[Failure]) -> None:
    """Record stated values that do not parse; those that were known before count as tried again."""
    new = ports.ledger.failures.describe(collection, bad)
    classes = [failure.error_class for failure in bad]
    run.count_failures(classes[:new], again=False)
    run.count_failures(classes[new:], again=True)
    for failure in bad[:SHOWN_BAD_VALUES]:
        log.warning("%s", failure.message)
    if len(bad) > SHOWN_BAD_VALUES:
        log.warning("%s: %d values do not parse; all of them stand in failures.", collection, len(bad))


def _taken(wanted: Collection, listing: Listing) -> dict[str, Any]:
    """Counts of labels, groups and splits in the listing, by which a misread column is noticed."""
    files = listing.files
    spans = [span.label for f in files for span in f.spans]
    texts = {*(f.label for f in files if f.label), *spans}
    labels = {name for text in texts for name in (names_in(text) if wanted.multi_label else (text,))}
    groups = {f.group for f in files if f.group}
    attributes = {name for f in files for name in f.attributes}
    columns = sorted({column for f in files for column in f.splits})
    described = [name for name in (*wanted.declared.attributes, RECORDED_AT) if name in attributes]
    used = {"path": True, "label": labels, "group": groups, "start_s": spans, "end_s": spans}
    kept = [name for name, values in used.items() if values] + columns + described if wanted.manifest else []
    warnings = [
        f"labels that differ only in case, spaces or invisible characters: {', '.join(map(ascii, alike))}; "
        "each is a label of its own."
        for alike in look_alikes(labels)
    ]
    for warning in warnings:
        log.warning("%s: %s", wanted.name, warning)
    return {
        "labels": len(labels),
        "unlabelled": sum(f.label is None and not f.spans for f in files),
        "groups": len(groups),
        "splits": {c: dict(Counter(f.splits[c] for f in files if c in f.splits)) for c in columns},
        "columns_kept": kept,
        "columns_not_understood": sorted(attributes - {*described}),
        "warnings": warnings,
        "passed_over": dict(listing.passed_over),
    }


def _found(ports: Ports, wanted: Collection) -> Listing:
    """List all videos of a source."""
    how: dict[str, Any] = {"label_from": wanted.label_from, "globs": wanted.globs}
    if is_uri(wanted.source):
        return ports.catalog.pick_videos(ports.objects.list(wanted.source), **how)
    return ports.catalog.list_folder(Path(wanted.source), **how)


def _named(ports: Ports, wanted: Collection, manifest: str) -> tuple[Listing, list[str]]:
    """List the videos that a manifest names and no pattern excludes, and the missing paths."""
    files, missing = _read_manifest(ports, wanted.source, manifest, tuple(wanted.declared.attributes))
    take = wanted.globs.take
    left_out = Counter(PurePosixPath(f.path).suffix.lower() for f in files if not take(f.path))
    return Listing([f for f in files if take(f.path)], left_out), [path for path in missing if take(path)]


def _read_manifest(
    ports: Ports, source: str, manifest: str, declared: Sequence[str]
) -> tuple[list[SourceFile], list[str]]:
    place: Place = ports.objects.find(manifest) if is_uri(manifest) else Path(manifest)
    with ports.staging.local(place) as file:
        if is_uri(source):
            return ports.catalog.pick_named(source, ports.objects.list(source), file, declared)
        return ports.catalog.list_manifest(Path(source), file, declared)


def _record_missing(ports: Ports, wanted: Collection, paths: Sequence[str]) -> None:
    """Record a failure for each path that the manifest names and the source lacks."""
    if paths:
        ports.ledger.sources.put_collection(wanted)
        message = f"named in the manifest, not found in {wanted.source}."
        ports.ledger.failures.put(
            [Failure(wanted.name, path, None, "ingest", "Vanished", message) for path in paths]
        )
