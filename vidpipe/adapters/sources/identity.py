"""Content hashing (SHA-256), and detection of changed files by size, mtime, ctime and inode.

    listing ─stamp─▶ hash ─stamp─▶ probe ─stamp─▶ … hours … ─stamp─▶ decode ─stamp─▶ rows

Between two of these a camera may go on writing, and a copy may replace the file. Every read happens within
`unchanged`, which compares the stamps before the first byte and after the last one: a few system calls
each, and the bytes are hashed again only where the stamp has changed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import TypeVar

from vidpipe.adapters.sources.timeouts import Tick, answered, refuse_silent
from vidpipe.errors import StillChanging, StorageUnreachable, Vanished, VideoError
from vidpipe.records.videos import LocalFile

_CHUNK_BYTES = 1 << 20
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe must not block
_Stamp = tuple[int, int, int, int | None]
"""Size, mtime, inode, ctime."""
T = TypeVar("T")


def sha256_of(file: Path) -> str:
    """SHA-256 of a file's bytes, in hex: its `video_id`.

    Raises:
        Vanished: The file is gone, is no regular file, may not be read, or lies where nothing answers.
    """
    return _heard(file, lambda tick: _sha256(file, tick))


def _sha256(file: Path, tick: Tick) -> str:
    digest = hashlib.sha256()
    try:
        with FileIO(file, opener=lambda name, _: os.open(name, _FLAGS)) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise Vanished(f"{file} is not a regular file.")
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
                tick()
    except OSError as error:
        if isinstance(error, VideoError):
            raise
        escaped = "\\udc" in str(file)
        raise Vanished(
            f"cannot read {file}: {error.strerror}.",
            next_step="rename it to valid UTF-8." if escaped else "",
        ) from None
    return digest.hexdigest()


@contextmanager
def unchanged(file: LocalFile) -> Iterator[Path]:
    """Context manager around reading a file, which raises if its bytes are not those that were hashed.

    Another stamp before the block is forgiven where the bytes still have the hash, as after a `touch` or a
    remount; a change within the block never is. A file that cannot be opened is left to whoever reads it.

    Raises:
        StillChanging: It holds other bytes by now, or changed within the block, whatever else failed there.
        Vanished: It was removed within the block, or lies where nothing answers.
    """
    descriptor, before = _heard(file.path, lambda tick: _first_look(file, tick))
    if descriptor is None:
        yield file.path
        return
    try:  # held open: an inode in use is not given to another file
        if before is None:
            raise _changed(file)
        try:
            yield file.path
        except VideoError as error:
            if _now(file) != before:
                raise _changed(file) from error
            raise
        if _now(file) != before:
            raise _changed(file)
    finally:
        _close(descriptor, file.path)


def _first_look(file: LocalFile, tick: Tick) -> tuple[int | None, _Stamp | None]:
    """The file, opened, and its stamp where its bytes are those that were hashed; None where it cannot be."""
    descriptor = _opened(file.path)
    if descriptor is None:
        return None, None
    try:
        found = _stamp(descriptor)
        return descriptor, found if _is(file, found, tick) else None
    except BaseException:
        os.close(descriptor)
        raise


def _heard(path: Path, look: Callable[[Tick], T]) -> T:
    """Call the file system; a mount that hangs raises Vanished, which does not blame the bytes."""
    try:
        return answered(path, look)
    except StorageUnreachable as error:
        raise Vanished(error.message, next_step=error.next_step) from None


def _close(descriptor: int, path: Path) -> None:
    """Closed; on a mount that is silent even that hangs, and the descriptor is left to the process's end."""
    with suppress(StorageUnreachable):
        refuse_silent(path)
        os.close(descriptor)


def _is(file: LocalFile, found: _Stamp, tick: Tick) -> bool:
    """Whether a file is unchanged: by its stamp, else by the hash of its bytes."""
    ctime_ns = found[3] if file.ctime_ns is None else file.ctime_ns
    if found == (file.size_bytes, file.mtime_ns, file.inode, ctime_ns):
        return True
    return (
        file.video_id is not None
        and file.size_bytes == found[0]
        and _sha256(file.path, tick) == file.video_id
    )


def _now(file: LocalFile) -> _Stamp:
    """Current stamp of the file at a path."""
    found = _heard(file.path, lambda _: _stamp_of(file.path))
    if found is None:
        raise Vanished(f"{file.path} was removed while it was read.")
    return found


def _stamp_of(path: Path) -> _Stamp | None:
    descriptor = _opened(path)
    if descriptor is None:
        return None
    try:
        return _stamp(descriptor)
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int | None:
    """Open the file rather than `stat` it: NFS asks its server on open, and answers `stat` from a cache.

    Source: nfs(5), "Close-to-open cache consistency"
    """
    try:
        return os.open(path, _FLAGS)
    except (OSError, ValueError):
        return None


def _stamp(descriptor: int) -> _Stamp:
    found = os.fstat(descriptor)
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns


def _changed(file: LocalFile) -> StillChanging:
    since = "was hashed" if file.video_id else "was listed"
    return StillChanging(
        f"{file.path} has changed since it {since}: it is still being written, or was replaced.",
        next_step="nothing: the next night reads it anew.",
    )
