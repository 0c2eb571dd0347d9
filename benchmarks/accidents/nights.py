"""What happens in the middle of a night: kills, signals, full disks, files that change under the reader."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.accidents.stage import STAGES, Accident, Stage, before, own_disk

SIGNALS = {
    "killed, as for want of memory,": signal.SIGKILL,
    "cancelled (SIGTERM, as Prefect's runner and systemd send it)": signal.SIGTERM,
    "stopped by Ctrl-C": signal.SIGINT,
}
READING = ("the hashes", "the probe", "the decoder", "a part's rows", "a part's end", "the features' read")
"""Stages in which a video's bytes are read, or what was read of them is trusted."""


def accidents() -> Iterator[Accident]:
    """All of them."""
    for stage in STAGES:
        for how, number in SIGNALS.items():
            yield Accident(f"a night {how} before {stage}", partial(_signalled, stage, number))
        full = partial(_full, stage)
        yield Accident(f"a disk that is full from {stage} on", full, needs_mount=True)
    for stage in READING:
        for what, do in CHANGES.items():
            play = partial(_changed, stage, do)
            yield Accident(f"a file {what} before {stage}", play, same="all" if what in HARMLESS else "files")
    yield Accident("a decoder killed, as for want of memory", _decoder_killed)
    yield Accident("a disk that becomes read-only in the night", _read_only, needs_mount=True)
    yield Accident("a home that is read-only all night", _read_only_all_night, needs_mount=True)
    yield Accident("a disk with room for the part and not for the snapshot", _no_snapshot, needs_mount=True)
    yield Accident("three nights killed one after the other", _thrice)


def _signalled(stage: str, number: int, on: Stage) -> None:
    on.night(before(stage, partial(_end, number)))


def _end(number: int) -> None:
    """Send ourselves a signal, and be there when it arrives."""
    os.kill(os.getpid(), number)
    time.sleep(5)


def _thrice(on: Stage) -> None:
    for stage in ("a part's rows", "the model's load", "the publish"):
        on.night(before(stage, partial(_end, signal.SIGKILL)))


def _decoder_killed(on: Stage) -> None:
    def one_of_ours() -> None:
        import threading

        threading.Thread(target=_kill_a_child, args=(os.getpid(),), daemon=True).start()

    on.night(before("the decoder", one_of_ours))
    on.verb("retry")


def _kill_a_child(parent: int) -> None:
    """The first child process that shows itself: ffmpeg."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            for pid in task.read_text(encoding="ascii").split():
                os.kill(int(pid), signal.SIGKILL)
                return


# -- disks ------------------------------------------------------------------------------------------


def _full(stage: str, on: Stage) -> None:
    with own_disk(on.home) as disk:
        on.night(before(stage, disk.fill))


def _read_only(on: Stage) -> None:
    with own_disk(on.home) as disk:
        on.night(before("a part's rows", disk.forbid))


def _read_only_all_night(on: Stage) -> None:
    with own_disk(on.home) as disk:
        disk.forbid()
        on.night()


def _no_snapshot(on: Stage) -> None:
    with own_disk(on.home) as disk:
        disk.fill(leave_kb=1500)
        on.night()


# -- files ------------------------------------------------------------------------------------------


def _replace(file: Path, spare: Path) -> None:
    """Another clip under the name, as `mv` does it."""
    other = file.with_name(".other")
    shutil.copyfile(spare, other)
    other.replace(file)


def _overwrite(file: Path, spare: Path) -> None:
    """Another clip into the same inode, as `cp` does it."""
    file.write_bytes(spare.read_bytes())


def _overwrite_unseen(file: Path, spare: Path) -> None:
    """Another clip into the same inode, with the old time put back, as `cp -p` and `rsync --inplace` do."""
    found = file.stat()
    file.write_bytes(spare.read_bytes())
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))


def _grow(file: Path, _: Path) -> None:
    with file.open("ab") as stream:
        stream.write(b"\0" * 4096)


def _cut(file: Path, _: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _remove(file: Path, _: Path) -> None:
    file.unlink()


def _rename(file: Path, _: Path) -> None:
    file.rename(file.with_name(f"renamed_{file.name}"))


def _touch(file: Path, _: Path) -> None:
    file.touch()


CHANGES: dict[str, Callable[[Path, Path], None]] = {
    "replaced": _replace,
    "overwritten": _overwrite,
    "overwritten with its old time": _overwrite_unseen,
    "that grows": _grow,
    "cut short": _cut,
    "removed": _remove,
    "renamed": _rename,
    "touched": _touch,
}
HARMLESS = {"touched"}


def _changed(stage: str, change: Callable[[Path, Path], None], on: Stage) -> None:
    file = max(on.inbox.glob("*.mp4"))
    spare = min(on.spare.glob("*.mp4"))
    on.night(before(stage, partial(change, file, spare)))
    if file.exists():  # an hour later nobody writes it any more
        found = file.stat()
        os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
        time.sleep(0.01)
