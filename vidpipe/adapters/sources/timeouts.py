"""Timeout for file systems that hang: a dead NFS server or FUSE process must not hang the night.

A system call into such a mount returns when the server does, which may be never, and no signal but SIGKILL
ends it. So it is made in a thread of its own, left behind when nothing is heard of it for `SILENT_S`.
The mount counts as silent then, for a while: its other files are refused at once, not each after its wait.

Source: nfs(5), "hard / soft"; https://www.kernel.org/doc/html/latest/filesystems/fuse/fuse.html
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from vidpipe.errors import StorageUnreachable

SILENT_S = 60.0
"""A disk that spins up takes ten seconds, an NFS server that is started anew about a minute."""
REFUSED_S = 600.0
"""For so long a silent mount is not asked again."""
_silent_until: dict[str, float] = {}
"""By mount point, on the monotonic clock."""
Tick = Callable[[], None]
T = TypeVar("T")


def answered(path: Path, work: Callable[[Tick], T]) -> T:
    """The value of `work`, which reads at `path` and calls what it is given whenever it gets on.

    Raises:
        StorageUnreachable: Nothing was heard of it for `SILENT_S`, or of the same mount a while ago.
    """
    refuse_silent(path)
    call = _Call(work)
    while not call.has_ended(SILENT_S):
        if not call.gets_on():
            _silent_until[_mount_point(path)] = time.monotonic() + REFUSED_S
            raise _unheard(path)
    return call.value()


def refuse_silent(path: Path) -> None:
    """Fail at once where the path's mount was silent a while ago.

    Raises:
        StorageUnreachable: It was.
    """
    if _silent_until and _silent_until.get(_mount_point(path), 0.0) > time.monotonic():
        raise _unheard(path)


def _unheard(path: Path) -> StorageUnreachable:
    return StorageUnreachable(
        f"{_mount_point(path)} does not answer: nothing was heard for {SILENT_S:g} s of {path}.",
        next_step="check the mount and its server (mount, ls); remount it; the next night makes up for it.",
    )


class _Call(Generic[T]):
    """A function that runs in a thread, which does not keep the process from ending."""

    def __init__(self, work: Callable[[Tick], T]) -> None:
        self._work, self._ticks, self._seen = work, 0, 0
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="file system", daemon=True)
        self._thread.start()

    def has_ended(self, wait_s: float) -> bool:
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def gets_on(self) -> bool:
        """Whether it has called since the last look."""
        before, self._seen = self._seen, self._ticks
        return self._seen > before

    def value(self) -> T:
        if self._error:
            raise self._error
        return self._value[0]

    def _run(self) -> None:
        try:
            self._value.append(self._work(self._tick))
        except BaseException as error:
            self._error = error

    def _tick(self) -> None:
        self._ticks += 1


def _mount_point(path: Path) -> str:
    """Mount point of a path, without touching its file system; elsewhere than on Linux, its folder."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return str(path.parent)
    points = [re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), x.split(" ")[1]) for x in lines]
    above = {str(path), *map(str, path.parents)}
    return max((point for point in points if point in above), key=len, default=str(path.parent))
