"""Features are of the bytes that were hashed: what changes on the way waits for the next night."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import warehouse_rows

from vidpipe.adapters.sources.identity import sha256_of, unchanged
from vidpipe.errors import NoFrames, StillChanging, Vanished
from vidpipe.ports import Ports
from vidpipe.records.videos import LocalFile
from vidpipe.steps import hash_and_probe
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.steps.nightly import nightly
from vidpipe.steps.retry import retry

Change = Callable[[Path, bytes], None]


def restored(file: Path, before: os.stat_result) -> None:
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(file: Path, other: bytes) -> None:
    """Another file of the same size and mtime, by a rename."""
    before = file.stat()
    fresh = file.with_suffix(".new")
    fresh.write_bytes(other[: before.st_size].ljust(before.st_size, b"\0"))
    restored(fresh, before)
    fresh.replace(file)


def rewritten(file: Path, other: bytes) -> None:
    """Other bytes in place: size, mtime and inode are the same."""
    before = file.stat()
    with file.open("r+b") as stream:
        stream.write(other[: before.st_size].ljust(before.st_size, b"\0"))
    restored(file, before)


def grown(file: Path, other: bytes) -> None:
    with file.open("ab") as stream:
        stream.write(other)


def truncated(file: Path, other: bytes) -> None:
    os.truncate(file, file.stat().st_size // 2)


def overwritten(file: Path, other: bytes) -> None:
    file.write_bytes(other)


CHANGES = [replaced, rewritten, grown, truncated, overwritten]


def stamped(file: Path, video_id: str | None = None) -> LocalFile:
    found = file.stat()
    return LocalFile(
        file, found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns, video_id or sha256_of(file)
    )


@pytest.fixture
def two(clips: Any) -> tuple[bytes, bytes]:
    """Two clips' bytes."""
    one, other = sorted(clips.incoming.glob("*.mp4"))[:2]
    return one.read_bytes(), other.read_bytes()


@pytest.fixture
def cam(ports: Ports, tmp_path: Path, two: tuple[bytes, bytes]) -> Path:
    """One video of a collection `cam`, hashed and not yet decoded."""
    file = tmp_path / "cam" / "x.mp4"
    file.parent.mkdir()
    file.write_bytes(two[0])
    ingest(ports, "cam", file.parent)
    return file


def asked(ports: Ports, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in warehouse_rows(ports, query)]


# -- one file -----------------------------------------------------------------------------------


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changed_before_or_within_the_block_is_noticed(change: Change, tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(b"0123456789" * 9)
    known = stamped(file)
    with pytest.raises(StillChanging, match=r"a\.mp4"), unchanged(known):
        time.sleep(0.02)  # a file system's clock ticks every few milliseconds
        change(file, b"abc" * 50)
    with pytest.raises(StillChanging), unchanged(known):
        pytest.fail("it was read")


def test_a_decoders_error_on_a_changing_file_is_the_changes_fault(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(b"0123456789")
    with pytest.raises(StillChanging), unchanged(stamped(file)):
        truncated(file, b"")
        raise NoFrames("none")
    with pytest.raises(NoFrames), unchanged(stamped(file)):
        raise NoFrames("none")


def test_what_is_removed_within_the_block_has_vanished_and_nothing_stays_open(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(b"0")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(Vanished), unchanged(stamped(file)):
        file.unlink()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_same_bytes_under_another_stamp_are_the_same_video(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(b"0")
    known = replace(stamped(file), mtime_ns=1, inode=2, ctime_ns=3)
    with unchanged(known) as path:
        assert path == file
    with pytest.raises(StillChanging), unchanged(replace(known, video_id=None)):
        pytest.fail("nothing tells that it is")


# -- between hash and decode --------------------------------------------------------------------


@pytest.mark.parametrize("change", CHANGES)
def test_no_features_are_stored_under_the_hash_of_other_bytes(
    change: Change, ports: Ports, cam: Path, two: tuple[bytes, bytes]
) -> None:
    change(cam, two[1])
    done = extract(ports)
    assert (done.videos, done.failed, done.waiting) == (0, 0, 1)
    assert asked(ports, "select count(*) from video_features") == [(0,)]
    told = asked(ports, "select path, stage, error_class, attempts, status from failures")
    assert told == [("x.mp4", "extract", "StillChanging", 0, "waiting")]


@pytest.mark.parametrize("change", [replaced, rewritten, overwritten])
def test_the_next_night_reads_what_waited(
    change: Change, ports: Ports, cam: Path, two: tuple[bytes, bytes]
) -> None:
    cam.write_bytes(two[0] + bytes(max(0, len(two[1]) - len(two[0]))))  # room for the other clip
    ingest(ports, "cam", cam.parent)
    change(cam, two[1])
    for _ in range(5):  # more than there are attempts
        assert extract(ports).waiting == 1
    night = nightly(ports)
    assert (night.status, night.failed, night.waiting, night.extracted) == ("no_champion", 0, 0, 1)
    (row,) = asked(ports, "select video_id from video_features")
    assert row == (sha256_of(cam),)
    assert asked(ports, "select status from failures") == [("resolved",)]


def test_a_touched_file_is_decoded_the_same_night(ports: Ports, cam: Path) -> None:
    os.utime(cam, ns=(1, 1))
    assert extract(ports).videos == 1


def test_a_video_that_changes_while_it_is_decoded_waits_too(
    ports: Ports, cam: Path, two: tuple[bytes, bytes]
) -> None:
    class Changing:
        def __init__(self, videos: Any) -> None:
            self._videos = videos

        def __getattr__(self, name: str) -> Any:
            return getattr(self._videos, name)

        def decode(self, *arguments: Any) -> Any:
            decoding = self._videos.decode(*arguments)

            class After:
                report = None
                flow = None

                def __iter__(self) -> Iterator[Any]:
                    for frame in decoding:
                        self.flow = decoding.flow
                        yield frame
                    self.report = decoding.report
                    grown(cam, two[1])

            return After()

    done = extract(replace(ports, videos=Changing(ports.videos)))
    assert (done.videos, done.failed, done.waiting) == (0, 0, 1)
    assert asked(ports, "select count(*) from video_features") == [(0,)]


def test_a_file_that_is_gone_has_failed_as_before(ports: Ports, cam: Path) -> None:
    cam.unlink()
    done = extract(ports)
    assert (done.failed, done.waiting) == (1, 0)


def test_a_new_copy_of_what_was_there_does_not_wait_with_it(
    ports: Ports, cam: Path, two: tuple[bytes, bytes]
) -> None:
    overwritten(cam, two[1])
    assert extract(ports).waiting == 1
    (cam.parent / "again.mp4").write_bytes(two[0])
    night = nightly(ports)
    assert (night.waiting, night.failed, night.extracted) == (0, 0, 2)
    assert asked(ports, "select path, status from failures") == [("x.mp4", "resolved")]


def test_retry_leaves_what_waits_as_it_is(ports: Ports, cam: Path, two: tuple[bytes, bytes]) -> None:
    grown(cam, two[1])
    extract(ports)
    retry(ports)
    assert asked(ports, "select status from failures") == [("waiting",)]


# -- between listing and hash -------------------------------------------------------------------


def test_a_file_that_grows_while_it_is_ingested_waits_and_is_no_failure(
    ports: Ports, tmp_path: Path, two: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hash_and_probe, "QUIET_S", 2.0)
    folder = tmp_path / "cam"
    folder.mkdir()
    file, stop = folder / "x.ts", threading.Event()
    file.write_bytes(two[0])
    (folder / "done.mp4").write_bytes(two[1])

    def write() -> None:
        while not stop.wait(0.3):
            grown(file, b"more")

    camera = threading.Thread(target=write)
    camera.start()
    try:
        came = ingest(ports, "cam", folder)
    finally:
        stop.set()
        camera.join()
    assert (came.failed, came.waiting, came.videos) == (0, 1, 1)
    told = asked(ports, "select path, stage, error_class, attempts, status, video_id from failures")
    assert told == [("x.ts", "ingest", "StillChanging", 0, "waiting", None)]
    assert asked(ports, "select count(*) from videos") == [(1,)], "none of a prefix"
    time.sleep(2.0)
    night = nightly(ports, failure_budget="0")
    assert (night.waiting, night.failed, night.status) == (0, 0, "no_champion")
    assert asked(ports, "select status from failures") == [("resolved",)]


def test_json_and_runs_say_how_many_wait(vidpipe: Any, tmp_path: Path, two: tuple[bytes, bytes]) -> None:
    folder = tmp_path / "cam"
    folder.mkdir()
    (folder / "x.mp4").write_bytes(two[0])
    assert json.loads(vidpipe("ingest", str(folder), "--collection", "cam", "--json").stdout)["waiting"] == 0
    overwritten(folder / "x.mp4", two[1])
    done = vidpipe("extract", "--json")
    assert done.returncode == 0
    assert (json.loads(done.stdout)["waiting"], json.loads(done.stdout)["failed"]) == (1, 0)
    night = json.loads(vidpipe("nightly", "--json").stdout)
    assert (night["waiting"], night["extracted"]) == (0, 1)
