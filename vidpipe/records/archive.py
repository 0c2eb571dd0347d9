"""Value types of backups: the files of one, and what a restore makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """One file of a backup."""

    size_bytes: int
    sha256: str | None
    """None: a part of the features, told by its size alone."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Table of contents of a backup."""

    home: str
    """Where the home lay, absolute."""
    made_at: str
    """UTC, ISO 8601."""
    vidpipe: str
    """Version that made it."""
    files: Mapping[str, ArchivedFile]
    """By path within the backup."""
    listed_parts: Mapping[str, int]
    """Bytes of feature parts that it names and does not hold; 0 where they lie elsewhere than in the home."""
