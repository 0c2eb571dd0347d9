"""A mount that hangs costs a wait and one line: a real FUSE file system that never answers."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vidpipe.adapters.sources import timeouts
from vidpipe.adapters.sources.folders import Catalog
from vidpipe.adapters.sources.identity import sha256_of, unchanged
from vidpipe.adapters.sources.timeouts import answered
from vidpipe.errors import StorageUnreachable, Vanished
from vidpipe.ports import Ports
from vidpipe.records.videos import LocalFile
from vidpipe.steps.ingest import ingest
from vidpipe.steps.nightly import nightly

MOUNT_AND_SAY_NOTHING = r"""
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
descriptor = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={descriptor},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
if libc.mount(b"silent", sys.argv[1].encode(), b"fuse.silent", 0, options):
    sys.exit(os.strerror(ctypes.get_errno()))
(unique,) = struct.unpack_from("<Q", os.read(descriptor, 65536), 8)
hello = struct.pack("<IIII", 7, 31, 65536, 0).ljust(64, b"\0")
os.write(descriptor, struct.pack("<IiQ", 16 + len(hello), 0, unique) + hello)
print("ready", flush=True)
sys.stdin.read()
"""
"""Answers FUSE's greeting, and from then on nothing. Source: linux/fuse.h, struct fuse_init_out."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "SILENT_S", 0.3)
    monkeypatch.setattr(timeouts, "_silent_until", {})


@contextmanager
def silent(folder: Path) -> Iterator[None]:
    """A file system that never answers over the folder, within the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", MOUNT_AND_SAY_NOTHING, str(folder)], stdin=-1, stdout=-1, text=True
    )
    assert process.stdout
    if process.stdout.readline() != "ready\n":
        pytest.skip("no FUSE file system may be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        process.communicate("")


def test_a_silent_mount_is_given_up_once_and_refused_from_then_on(tmp_path: Path) -> None:
    with silent(tmp_path):
        gives_up(tmp_path)


def gives_up(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    started = time.monotonic()
    with pytest.raises(StorageUnreachable, match=r"does not answer: nothing was heard for 0\.3 s") as caught:
        Catalog().list_folder(tmp_path)
    assert str(tmp_path) in caught.value.message and "remount" in caught.value.next_step
    assert 0.3 <= time.monotonic() - started < 5
    started = time.monotonic()
    with pytest.raises(Vanished, match="does not answer"):
        sha256_of(file)
    with pytest.raises(Vanished, match="does not answer"), unchanged(LocalFile(file, 1, 1, 1, 1, None)):
        pytest.fail("it was read")
    assert time.monotonic() - started < 0.25, "not each after its wait"


def test_a_night_with_a_silent_source_does_the_others_and_makes_up_for_it(
    ports: Ports, clips: Any, tmp_path: Path
) -> None:
    one, two, three = sorted(clips.incoming.glob("*.mp4"))[:3]
    for name, file in (("far", one), ("near", two)):
        (tmp_path / name).mkdir()
        shutil.copy2(file, tmp_path / name)
        ingest(ports, name, tmp_path / name)  # known, and not yet decoded
    shutil.copy2(three, tmp_path / "near")
    with silent(tmp_path / "far"):
        night = nightly(ports)
    assert (night.status, night.ingested, night.extracted, night.failed) == ("failed", 1, 2, 1)
    (problem,) = night.problems
    assert problem.startswith("far: ") and "does not answer" in problem
    timeouts._silent_until.clear()
    healed = nightly(ports)
    assert (healed.status, healed.extracted, healed.failed) == ("no_champion", 1, 0)


def test_what_is_slow_and_gets_on_is_waited_for(tmp_path: Path) -> None:
    def slow(tick: Callable[[], None]) -> str:
        for _ in range(8):
            time.sleep(0.1)
            tick()
        return "done"

    assert answered(tmp_path, slow) == "done"


def test_what_went_wrong_is_told_to_who_asked(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        answered(tmp_path, lambda _: 1 // 0)
    assert not any(thread.name == "file system" for thread in threading.enumerate())
