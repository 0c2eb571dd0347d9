"""Download cache for objects of a bucket: shared by all processes of a home, bounded in size (LRU).

    staging/held                an upper bound of the bytes below, and the lock under which files come and go
    staging/<key>-<name>        a whole object; whoever reads it has it locked (shared)
    staging/<key>.part          one on its way, as large as it will be; whoever downloads it has it locked

`<key>` is a hash of URI, etag and size, so that an object replaced in its bucket is another file here. Files
that nobody reads are evicted, the least recently used first. All locks are `flock`s: a killed process holds
nothing, and what it left behind is evicted like the rest.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vidpipe.adapters.sources.identity import unchanged
from vidpipe.errors import StorageFailed, TooLarge
from vidpipe.records.videos import LocalFile, Place, StoredObject, short_hash

Download = Callable[[StoredObject, Path], None]
"""Writes into the file in place, never truncating it: the others count its size meanwhile."""

HELD = "held"
SWEPT_TO = 0.9
"""Room is made down to this share of the bound, so that the folder is not read for every object."""
_POLL_S = 0.1
_NAME_LENGTH = 40


class Staging:
    """Download cache of one home, shared by all its processes."""

    def __init__(self, folder: Path, limit_bytes: int, download: Download) -> None:
        self._folder, self._limit, self._download = folder, limit_bytes, download

    @contextmanager
    def local(self, place: Place, *, has_room: Callable[[], None] = lambda: None) -> Iterator[Path]:
        """Context manager of a local copy of the video, downloaded if needed and locked against eviction.

        Waits while others use all the room. Whoever holds one object may therefore not ask for another,
        unless it takes its turn: `has_room` is called when this one has its place on the disk.

        Raises:
            StillChanging: It has been replaced since it was listed or hashed, or changes within the block.
            Vanished: It is gone.
            TooLarge: It is larger than the bound.
            StorageUnreachable: Object storage does not answer.
            StorageFailed: The disk is full or read-only.
        """
        if isinstance(place, Path):
            has_room()
            yield place
            return
        if isinstance(place, LocalFile):
            has_room()
            with unchanged(place) as path:
                yield path
            return
        with self._disk_errors():
            file, descriptor = self._borrow(place, has_room)
        try:
            yield file
        finally:
            os.close(descriptor)

    def drop(self, place: Place) -> None:
        """Evict an object, unless it is being read."""
        if isinstance(place, StoredObject) and self._folder.exists():
            with self._disk_errors(), self._reserving() as reservations:
                reservations.add(-_removed(self._file(place)))

    def sweep(self, older_than_s: float) -> tuple[int, int]:
        """Delete files that have not been used for so long: (files, bytes)."""
        if not self._folder.exists():
            return 0, 0
        files = size_bytes = 0
        with self._disk_errors(), self._reserving() as reservations:
            for file, _, used_at in self._staged():
                if time.time() - used_at >= older_than_s and (freed := _removed(file)):
                    files, size_bytes = files + 1, size_bytes + freed
            reservations.set(sum(size for _, size, _ in self._staged()))
        return files, size_bytes

    # -- one object -----------------------------------------------------------------------------

    def _borrow(self, wanted: StoredObject, has_room: Callable[[], None]) -> tuple[Path, int]:
        """Get the file, downloaded if needed, and the descriptor whose lock keeps it."""
        if wanted.size_bytes > self._limit:
            raise TooLarge(
                f"{wanted.uri} has {wanted.size_bytes:,} bytes, the bound for staging is {self._limit:,}.",
                next_step="raise VIDPIPE_STAGING_BYTES.",
            )
        file = self._file(wanted)
        part = file.with_name(file.name.split("-", 1)[0] + ".part")
        while True:
            with self._reserving() as reservations:
                if (descriptor := _opened(file, fcntl.LOCK_SH)) is not None:
                    os.utime(file)
                    has_room()
                    return file, descriptor
                if (descriptor := self._begun(reservations, part, wanted.size_bytes)) is not None:
                    break
            time.sleep(_POLL_S)  # another process downloads it, or there is no room
        has_room()
        try:
            self._download(wanted, part)
            with self._reserving():
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                part.rename(file)
        except BaseException:
            os.close(descriptor)
            with self._reserving() as reservations:
                reservations.add(-_removed(part))
            raise
        return file, descriptor

    def _begun(self, reservations: _Reservations, part: Path, size_bytes: int) -> int | None:
        """Start a download: a locked file of the object's size, if there is room and no other process has."""
        if part.exists():
            freed = _removed(part)
            if part.exists():
                return None
            reservations.add(-freed)  # a killed process left it
        if reservations.held + size_bytes > self._limit:
            reservations.set(self._make_room(self._limit - size_bytes))
            if reservations.held + size_bytes > self._limit:
                return None
        reservations.add(size_bytes)  # first: the number may be too high, never too low
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, size_bytes)
        return descriptor

    def _file(self, wanted: StoredObject) -> Path:
        """Path of an object in the cache, with its extension, which decoders look at."""
        key = short_hash((wanted.uri, wanted.etag, wanted.size_bytes))
        name = re.sub(r"[^\w.()+ -]", "_", wanted.name)[-_NAME_LENGTH:]
        return self._folder / f"{key}-{name}"

    # -- the folder -----------------------------------------------------------------------------

    def _make_room(self, most_bytes: int) -> int:
        """Evict unread files, the least recently used first, down to so many bytes; returns what is left."""
        staged = list(self._staged())
        held = sum(size for _, size, _ in staged)
        for file, _, _ in sorted(staged, key=lambda entry: entry[2]):
            if held <= min(most_bytes, self._limit * SWEPT_TO):
                break
            held -= _removed(file)
        return held

    def _staged(self) -> Iterator[tuple[Path, int, float]]:
        """Cached files with size and time of last use."""
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name != HELD:
                    with suppress(FileNotFoundError):
                        found = entry.stat()
                        yield Path(entry.path), found.st_size, found.st_mtime

    @contextmanager
    def _reserving(self) -> Iterator[_Reservations]:
        """Context manager of the lock on the cache's list of files; never held during a download."""
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder / HELD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield _Reservations(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if type(error).__module__.startswith("vidpipe."):  # ours inherit the builtin
                raise
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise StorageFailed(
                f"cannot write {self._folder}: {'the disk is full' if full else error.strerror}.",
                next_step="free space or lower VIDPIPE_STAGING_BYTES, then run the same command again.",
            ) from error


class _Reservations:
    """Upper bound, in the file `held`, of the bytes present or reserved."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @property
    def held(self) -> int:
        return int(os.pread(self._descriptor, 20, 0) or 0)

    def set(self, size_bytes: int) -> None:
        os.pwrite(self._descriptor, f"{max(size_bytes, 0):020}".encode(), 0)

    def add(self, size_bytes: int) -> None:
        self.set(self.held + size_bytes)


def _opened(file: Path, lock: int) -> int | None:
    """Open and lock a file; None if it is not there, or locked by others."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, lock | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _removed(file: Path) -> int:
    """Delete a file unless it is locked; returns the bytes freed."""
    descriptor = _opened(file, fcntl.LOCK_EX)
    if descriptor is None:
        return 0
    try:
        size_bytes = os.fstat(descriptor).st_size
        file.unlink()
    finally:
        os.close(descriptor)
    return size_bytes
