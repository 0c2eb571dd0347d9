"""What is odd around a home: sources that are away, clocks, the shell, the user, two nights at once."""

from __future__ import annotations

import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.accidents.stage import Accident, Hook, Stage, before

DAY_S = 86_400.0


def accidents() -> Iterator[Accident]:
    """All of them."""
    for what, hook in PROCESS.items():
        yield Accident(what, partial(_night_with, hook))
    for what, environment in SHELL.items():
        yield Accident(what, partial(_shell, environment))
    for what, do in SOURCES.items():
        yield Accident(what, partial(_source_away, do))
    yield Accident("videos from the future", _future)
    yield Accident("a clock a day ahead, then right again", partial(_night_with, partial(_clock, DAY_S)))
    yield Accident("a clock set back by a day", partial(_night_with, partial(_clock, -DAY_S)))
    yield Accident(
        "a clock set back by twenty years", partial(_night_with, partial(_clock, -20 * 365 * DAY_S))
    )
    yield Accident("two nights at once", _two_at_once)


def _night_with(hook: Hook, on: Stage) -> None:
    on.night(hook)


def _shell(environment: dict[str, str], on: Stage) -> None:
    on.environment = environment
    on.night()
    on.environment = {}


def _clock(off_s: float) -> None:
    """Every clock that Python asks is off."""
    from vidpipe.adapters.database import ledger, session  # noqa: F401  the ledger imports all its tables

    real, now = time.time, session.now_utc
    time.time = lambda: real() + off_s
    from datetime import timedelta

    for name, module in list(sys.modules.items()):
        if name.startswith("vidpipe.adapters.database.") and hasattr(module, "now_utc"):
            owner: Any = module
            owner.now_utc = lambda: now() + timedelta(seconds=off_s)


def _few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96))


def _as_a_number() -> None:
    """A user with a number, and neither a name nor a folder."""
    import pwd

    pwd.getpwuid = {}.__getitem__  # type: ignore[assignment]
    for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME"):
        os.environ.pop(name, None)


def _nowhere() -> None:
    """A working folder that was removed."""
    folder = Path("/tmp") / f"gone{os.getpid()}"
    folder.mkdir()
    os.chdir(folder)
    folder.rmdir()


def _strict_mask() -> None:
    os.umask(0o777 & ~0o700)


PROCESS: dict[str, Hook] = {
    "96 open files and no more": _few_files,
    "a user with a number alone": _as_a_number,
    "a working folder that is gone": _nowhere,
    "a strict umask": _strict_mask,
}
SHELL = {
    "a terminal that knows ASCII alone": {"PYTHONIOENCODING": "ascii", "LANG": "C", "LC_ALL": "C"},
    "another time zone": {"TZ": "Pacific/Kiritimati"},
    "a time zone that does not exist": {"TZ": "Nowhere/Land"},
    "TMPDIR that does not exist": {"TMPDIR": "/nowhere"},
    "a Prefect server that is away": {"PREFECT_API_URL": "http://127.0.0.1:9/api"},
    "a proxy that is away": {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"},
    "a setting that is no number": {"VIDPIPE_TOP_K": "many"},
    "a setting out of its range": {"VIDPIPE_FAILURE_BUDGET": "7"},
    "an ffmpeg that is not there": {"VIDPIPE_FFMPEG": "/nowhere/ffmpeg"},
}


# -- sources ----------------------------------------------------------------------------------------


def _source_away(do: Callable[[Path], object], on: Stage) -> None:
    kept = on.inbox.with_name("kept")
    shutil.copytree(on.inbox, kept)
    do(on.inbox)
    on.night()
    if on.inbox.is_dir() and not on.inbox.is_symlink():
        shutil.rmtree(on.inbox)
    else:
        on.inbox.unlink(missing_ok=True)
    kept.rename(on.inbox)


def _renamed(inbox: Path) -> None:
    shutil.rmtree(inbox)


def _emptied(inbox: Path) -> None:
    shutil.rmtree(inbox)
    inbox.mkdir()


def _a_file(inbox: Path) -> None:
    shutil.rmtree(inbox)
    inbox.touch()


def _a_circle(inbox: Path) -> None:
    shutil.rmtree(inbox)
    inbox.symlink_to(inbox.name)


def _odd_entries(inbox: Path) -> None:
    """What is no video, in every way."""
    os.mkfifo(inbox / "pipe.mp4")
    (inbox / "folder.mp4").mkdir()
    (inbox / "nowhere.mp4").symlink_to("nothing")
    (inbox / ".hidden.mp4").write_bytes(b"x")


def _many(inbox: Path) -> None:
    for number in range(100_000):
        os.mknod(inbox / f"{number}.txt")


SOURCES: dict[str, Callable[[Path], object]] = {
    "a source that is renamed for a night": _renamed,
    "a source that is empty for a night, as an unmounted disk": _emptied,
    "a file where the source was": _a_file,
    "a link in a circle where the source was": _a_circle,
    "pipes, folders and dead links among the videos": _odd_entries,
    "100,000 files that are no videos in one folder": _many,
}


def _future(on: Stage) -> None:
    for file in on.inbox.glob("*.mp4"):
        os.utime(file, (time.time() + 400 * DAY_S,) * 2)
    on.night()


def _two_at_once(on: Stage) -> None:
    """Two schedules of one home: the second starts while the first decodes."""

    def second() -> None:
        pid = os.fork()
        if pid == 0:
            on._be_verb(("nightly",), None, [on.root / "second.out", on.root / "second.err"])
        os.waitpid(pid, 0)

    on.night(before("the decoder", second))
    error = (on.root / "second.err").read_text(encoding="utf-8")
    if "Traceback" in error:
        raise RuntimeError(error)
