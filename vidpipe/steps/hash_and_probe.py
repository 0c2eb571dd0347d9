"""Hash, probe and record the new and changed files of a source, a chunk at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from vidpipe.errors import VideoError
from vidpipe.ports import Ports
from vidpipe.records.videos import Collection, Failure, ProbedVideo, SourceFile, Stage
from vidpipe.steps.runs import RunLog
from vidpipe.uris import is_uri, place_of

log = logging.getLogger(__name__)

T = TypeVar("T")

QUIET_S = 2.0
"""A file that changed within so many seconds is looked at again: who writes it may still be at it."""

CHUNK_FILES = 256
CHUNK_BYTES = 4 << 30
"""Files are committed in chunks of at most this much: what a crash may cost to read again."""
DOWNLOADS = 8
"""Objects that are read side by side: they keep the network waiting, not the processor."""


@dataclass(frozen=True, slots=True)
class _Hashed:
    """A hashed file, or the error why it could not be read."""

    file: SourceFile
    video_id: str | None
    error: VideoError | None = None


@dataclass(frozen=True, slots=True)
class _Probed:
    """A probed video: the row to record, and its error, if any."""

    video: ProbedVideo | None
    error: VideoError | None = None


def loads(
    ports: Ports, wanted: Collection, files: Sequence[SourceFile], *, split: bool
) -> Iterator[Sequence[SourceFile]]:
    """Split files into loads; objects by as many as fill half of the staging folder."""
    together = sum(file.size_bytes for file in files)
    if split and is_uri(wanted.source) and together > ports.limits.staging_bytes:
        yield from _chunks(files, ports.limits.staging_bytes // 2, most_files=len(files))
    else:
        yield files


def read_files(
    ports: Ports, run: RunLog, wanted: Collection, files: Sequence[SourceFile], *, again: bool
) -> int:
    """Hash, probe and record files, a chunk at a time; returns the number of files hashed."""
    hashes = 0
    source, far = wanted.source, is_uri(wanted.source)
    workers = max(ports.limits.workers, DOWNLOADS) if far else ports.limits.workers
    with (
        ThreadPoolExecutor(workers, thread_name_prefix="ingest") as pool,
        ports.progress.stage(f"ingest {wanted.name}", len(files), "files") as advance,
    ):
        # Half of the staging folder, so that hashed objects are still there to be probed.
        for chunk in _chunks(
            files, min(CHUNK_BYTES, ports.limits.staging_bytes // 2) if far else CHUNK_BYTES
        ):
            hashed = list(_seen(ports, pool.map(lambda file: _hash(ports, source, file), chunk)))
            hashed = _settled(ports, source, hashed)
            first = {h.video_id: h.file for h in hashed if h.video_id}
            known = ports.ledger.sources.known_videos(first, retry_failed=again)
            to_probe = {v: file for v, file in first.items() if v not in known}
            results = pool.map(partial(_probe, ports, source), to_probe.values(), to_probe)
            probed = dict(zip(to_probe, _seen(ports, results), strict=True))
            failures = [f for h in hashed if (f := _failure(wanted.name, h, known, probed))]
            ports.ledger.sources.put_videos(
                wanted.name,
                [(h.file, h.video_id) for h in hashed],
                [p.video for p in probed.values() if p.video],
                failures,
            )
            hashes += sum(h.video_id is not None for h in hashed)
            run.read_bytes += sum(h.file.size_bytes for h in hashed if h.video_id)
            run.count_failures([f.error_class for f in failures], again=again)
            advance(len(chunk), len(chunk))
    return hashes


def _seen(ports: Ports, results: Iterator[T]) -> Iterator[T]:
    """Yield results and advance progress, by half a file each (hash and probe)."""
    for result in results:
        ports.progress.in_progress(0.5, 0)
        yield result


def _chunks(
    files: Sequence[SourceFile], most_bytes: int, *, most_files: int = CHUNK_FILES
) -> Iterator[list[SourceFile]]:
    chunk: list[SourceFile] = []
    size_bytes = 0
    for file in files:
        chunk.append(file)
        size_bytes += file.size_bytes
        if len(chunk) == most_files or size_bytes > most_bytes:
            yield chunk
            chunk, size_bytes = [], 0
    if chunk:
        yield chunk


def _hash(ports: Ports, source: str, file: SourceFile) -> _Hashed:
    try:
        with ports.staging.local(place_of(source, file)) as local:
            return _Hashed(file, ports.catalog.hash_file(local))
    except VideoError as error:
        return _Hashed(file, None, error)


def _settled(ports: Ports, source: str, hashed: Sequence[_Hashed]) -> list[_Hashed]:
    """Recheck recently modified files after a pause; those that changed again become `StillChanging`."""
    quiet_ns = time.time_ns() - round(QUIET_S * 1e9)
    newest_ns = max((h.file.mtime_ns or 0 for h in hashed if h.video_id), default=0)
    if newest_ns <= quiet_ns:
        return list(hashed)
    time.sleep(min(QUIET_S, (newest_ns - quiet_ns) / 1e9))  # bounded: mtimes may lie in the future
    return [
        _same(ports, source, h) if h.video_id and (h.file.mtime_ns or 0) > quiet_ns else h for h in hashed
    ]


def _same(ports: Ports, source: str, hashed: _Hashed) -> _Hashed:
    try:
        with ports.staging.local(place_of(source, hashed.file, hashed.video_id)):
            return hashed
    except VideoError as error:
        return _Hashed(hashed.file, None, error)


def _probe(ports: Ports, source: str, file: SourceFile, video_id: str) -> _Probed:
    try:
        with ports.staging.local(place_of(source, file, video_id)) as local:
            facts = ports.videos.probe(local)
    except VideoError as error:
        learnt = error.verdict is not None  # a file that vanished says nothing about its bytes
        video = ProbedVideo(video_id, file.size_bytes, None, error.verdict)
        return _Probed(video if learnt else None, error)
    return _Probed(ProbedVideo(video_id, file.size_bytes, facts, None))


def _failure(
    collection: str,
    hashed: _Hashed,
    known: Mapping[str, tuple[Stage, str, str] | None],
    probed: Mapping[str, _Probed],
) -> Failure | None:
    """Failure of a path: its own error, or that of the video it shares with other paths."""
    path, video_id = hashed.file.path, hashed.video_id
    if video_id is None:
        return _recorded(collection, path, None, "ingest", hashed.error)
    if video_id in probed:
        return _recorded(collection, path, video_id, "probe", probed[video_id].error)
    if (bad := known.get(video_id)) is None:
        return None
    stage, error_class, message = bad
    return Failure(collection, path, video_id, stage, error_class, message)


def _recorded(
    collection: str, path: str, video_id: str | None, stage: Stage, error: VideoError | None
) -> Failure | None:
    if error is None:
        return None
    log.warning("%s: %s", path, error)
    return Failure(collection, path, video_id, stage, type(error).__name__, str(error))
