"""Backup and restore of a home."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vidpipe.ports.archive import HomeArchive
from vidpipe.records.archive import Archive
from vidpipe.steps.runs import Result


@dataclass(frozen=True, slots=True)
class BackupResult(Result):
    """Result of `vidpipe backup`."""

    backup: str
    made_at: str
    files: int
    bytes: int
    parts: int
    """Feature parts in it, linked or copied."""
    listed_parts: int
    """Feature parts that it names and leaves out."""


@dataclass(frozen=True, slots=True)
class RestoreResult(Result):
    """Result of `vidpipe restore`."""

    home: str
    backup: str
    made_at: str
    files: int
    bytes: int
    parts: int
    listed_parts: int
    """Feature parts that the backup names and leaves out: put them back, or they are computed again."""


def backup(archive: HomeArchive, folder: Path, *, list_features: bool = False) -> BackupResult:
    """Save a home into a new folder, consistent while nights run.

    Raises:
        ConfigurationError: There is no home, or the folder holds something.
        StorageFailed: The disk is full or read-only.
    """
    made = archive.save(folder, list_features=list_features)
    return BackupResult(str(folder), made.made_at, *_counts(made))


def restore(archive: HomeArchive, folder: Path, home: Path, publish: Callable[[], None]) -> RestoreResult:
    """Make a home from a backup, and publish its warehouse.

    Raises:
        ConfigurationError: No backup, a damaged one, or a home that holds something.
        StorageFailed: The disk is full or read-only.
    """
    found = archive.load(folder)
    publish()
    return RestoreResult(str(home), str(folder), found.made_at, *_counts(found))


def _counts(found: Archive) -> tuple[int, int, int, int]:
    """Files, bytes, parts held, and parts only named."""
    size_bytes = sum(file.size_bytes for file in found.files.values())
    parts = sum(path.startswith("features/") for path in found.files)
    return len(found.files), size_bytes, parts, len(found.listed_parts)
