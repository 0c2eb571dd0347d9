"""Atomic file replacement and fsync: after a crash a file has its old content or its new one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

LEFT_S = 3600.0
"""A temporary file that is older was left behind by a kill."""


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Context manager of an atomic write: a temporary path that replaces `file` at the end.

    Its name is `.NAME.PID.tmp`, so that what a kill leaves behind can be told and swept.
    """
    temp = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        yield temp
        temp.replace(file)
    finally:
        discard(temp)


def sweep_unfinished(file: Path, older_than_s: float) -> tuple[int, int]:
    """Remove what killed writers of a file left beside it: (files, bytes).

    Raises:
        OSError: One may not be deleted.
    """
    # DuckDB's log of an unfinished database is `.NAME.PID.tmp.wal`
    return delete_old(file.parent.glob(f".{escape(file.name)}.*.tmp*"), older_than_s)


def delete_old(files: Iterable[Path], older_than_s: float) -> tuple[int, int]:
    """Remove those that were last written so long ago: (files, bytes).

    Raises:
        OSError: One may not be deleted.
    """
    deleted = size_bytes = 0
    for file in files:
        with suppress(FileNotFoundError):  # renamed or deleted since it was listed
            found = file.stat()
            if time.time() - found.st_mtime >= older_than_s:
                file.unlink()
                deleted, size_bytes = deleted + 1, size_bytes + found.st_size
    return deleted, size_bytes


def discard(temp: Path) -> None:
    """Delete a temporary file, if the disk allows it: what made it useless is the error that people need."""
    with suppress(OSError):
        temp.unlink()


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk: a rename alone survives a kill, not a power cut.

    Source: https://man7.org/linux/man-pages/man2/fsync.2.html
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
