"""File lock (flock) that lets one run write to a home at a time; the kernel frees it when its holder dies.

Verbs that do not need the lease take a lock of their own beside it: training a shared one, promotion an
exclusive one. `flock` needs no heartbeat and no clock: a killed process holds nothing. The file's one JSON
line only tells people who the holder is; the lock itself decides.
"""

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from vidpipe.errors import LeaseHeld, StorageFailed

_POLL_S = 0.2
_GLANCE_S = 1.0


class FileLease:
    """Lease of a home by `flock`; re-entrant from any thread of the object that holds it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._depth = 0
        self._descriptor = -1
        self._guard = threading.Lock()

    @contextmanager
    def hold(self, verb: str, *, wait: bool = False) -> Iterator[None]:
        """Context manager that holds the lease for `verb`; with `wait`, once it is free.

        Raises:
            LeaseHeld: Another process holds it; the message names it.
            StorageFailed: The home cannot be written.
        """
        self._enter(verb, wait)
        try:
            yield
        finally:
            self._leave()

    @property
    def is_mine(self) -> bool:
        """Whether this object holds the lease."""
        return self._depth > 0

    def _enter(self, verb: str, wait: bool) -> None:
        with self._guard:
            if self._depth == 0:
                self._descriptor = _open(self._file)
                try:
                    _acquire(self._descriptor, self._file, wait)
                    _write_line(self._descriptor, self._file, verb)
                except BaseException:
                    os.close(self._descriptor)
                    raise
            self._depth += 1

    def _leave(self) -> None:
        with self._guard:
            self._depth -= 1
            if self._depth == 0:
                os.ftruncate(self._descriptor, 0)
                os.close(self._descriptor)  # closing frees the lock

    @contextmanager
    def beside(self, lock: str, *, shared: bool = False, wait: bool = True) -> Iterator[bool]:
        """Context manager of a named lock beside the lease, `shared` or exclusive.

        The value is True when nobody else holds the lock, and then nobody else can have left work half
        done under it a moment ago and still be alive. Without `wait`, False also means: not entered.

        Raises:
            StorageFailed: The home cannot be written.
        """
        descriptor = _open(self._file.with_name(f"{lock}.lock"))
        try:
            empty = _try_lock(descriptor)
            if wait and not (empty and not shared):
                fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield empty or (wait and not shared)
        finally:
            os.close(descriptor)

    def holder(self) -> dict[str, object] | None:
        """Description of the holder; empty where it left none, as a shell's `flock`; None: free."""
        try:
            descriptor = os.open(self._file, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read_line(self._file)
        finally:
            os.close(descriptor)
        return None


def _open(file: Path) -> int:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _storage_failed(file, error) from None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _acquire(descriptor: int, file: Path, wait: bool) -> None:
    started = time.monotonic()
    while True:
        if _try_lock(descriptor):
            return
        # Somebody who only looks (`holder`) holds it for a moment, and has written no line.
        glance = time.monotonic() - started < _GLANCE_S and not _read_line(file)
        if not wait and not glance:
            raise LeaseHeld(_held_message(file), next_step="wait for it, or pass --wait.")
        time.sleep(_POLL_S if wait else _GLANCE_S / 100)


def _held_message(file: Path) -> str:
    who = _read_line(file)
    if not who:
        return f"another run holds the lease {file}."
    return (
        f"{who.get('verb')} (pid {who.get('pid')} on {who.get('host')}) holds the lease "
        f"since {who.get('since')} UTC."
    )


def _write_line(descriptor: int, file: Path, verb: str) -> None:
    since = datetime.now(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")
    line = {"verb": verb, "pid": os.getpid(), "host": socket.gethostname(), "since": since}
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, (json.dumps(line) + "\n").encode(), 0)
    except OSError as error:
        raise _storage_failed(file, error) from None


def _storage_failed(file: Path, error: OSError) -> StorageFailed:
    return StorageFailed(
        f"cannot write {file}: {error.strerror}.",
        next_step="check free space and permissions there, or choose another --home.",
    )


def _read_line(file: Path) -> dict[str, object]:
    try:
        found = json.loads(file.read_text(encoding="utf-8") or "{}")
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
