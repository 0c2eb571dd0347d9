"""Staging: one download for all who want an object, within a bound, whoever is killed."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import run_python

from vidpipe.adapters.sources.staging import HELD, Staging
from vidpipe.errors import StorageFailed, StorageUnreachable, TooLarge
from vidpipe.records.videos import StoredObject


class Storage:
    """Gives each object as many bytes as it has; slowly, if told to."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.fetched: list[str] = []

    def __call__(self, wanted: StoredObject, file: Path) -> None:
        self.fetched.append(wanted.name)
        time.sleep(self.seconds)
        assert file.stat().st_size == wanted.size_bytes, "room is taken before the first byte comes"
        with file.open("r+b") as stream:  # in place, as every download: its size is counted meanwhile
            stream.write(wanted.name[:1].encode() * wanted.size_bytes)


def thing(name: str, size_bytes: int = 100, etag: str = "1") -> StoredObject:
    return StoredObject(f"s3://bucket/{name}", size_bytes, etag)


def held(folder: Path) -> int:
    """Bytes that lie there."""
    return sum(f.stat().st_size for f in folder.iterdir() if f.name != HELD)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "staging"


def test_an_object_is_downloaded_once_and_has_its_name_and_bytes(folder: Path) -> None:
    storage = Storage()
    staging = Staging(folder, 1000, storage)
    for _ in range(3):
        with staging.local(thing("deep/a.mp4")) as file:
            assert file.name.endswith("-a.mp4") and file.read_bytes() == b"a" * 100
    assert storage.fetched == ["a.mp4"]


def test_a_file_is_itself_and_nothing_is_made(folder: Path, tmp_path: Path) -> None:
    asked = threading.Event()
    with Staging(folder, 1000, Storage()).local(tmp_path / "a.mp4", has_room=asked.set) as file:
        assert file == tmp_path / "a.mp4" and asked.is_set()
    assert not folder.exists()
    assert Staging(folder, 1000, Storage()).sweep(0) == (0, 0)


def test_another_etag_is_another_file(folder: Path) -> None:
    storage = Storage()
    staging = Staging(folder, 1000, storage)
    for etag in "12":
        with staging.local(thing("a.mp4", etag=etag)):
            pass
    assert storage.fetched == ["a.mp4", "a.mp4"]


def test_two_who_want_the_same_at_once_share_one_download(folder: Path) -> None:
    storage = Storage(seconds=0.4)
    staging = Staging(folder, 1000, storage)

    def read(_: int) -> bytes:
        with staging.local(thing("a.mp4")) as file:
            return file.read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(read, range(4))) == {b"a" * 100}
    assert storage.fetched == ["a.mp4"]


def test_room_is_made_by_removing_the_longest_unused_but_nothing_that_is_read(folder: Path) -> None:
    storage = Storage()
    staging = Staging(folder, 350, storage)
    with staging.local(thing("a.mp4")) as in_use:
        for name in ("b.mp4", "c.mp4", "d.mp4"):
            time.sleep(0.02)
            with staging.local(thing(name)):
                assert held(folder) <= 350
        assert in_use.exists()
        assert not any(f.name.endswith("b.mp4") for f in folder.iterdir())
    with staging.local(thing("a.mp4")):
        pass
    assert storage.fetched.count("a.mp4") == 1


def test_who_finds_no_room_waits_until_somebody_is_done(folder: Path) -> None:
    staging = Staging(folder, 150, Storage())
    entered = threading.Event()

    def second() -> None:
        with staging.local(thing("b.mp4")):
            entered.set()

    with staging.local(thing("a.mp4")):
        waiting = threading.Thread(target=second)
        waiting.start()
        assert not entered.wait(0.4)
    assert entered.wait(5)
    waiting.join()
    assert held(folder) <= 150


def test_what_is_larger_than_the_bound_is_refused_before_it_comes(folder: Path) -> None:
    storage = Storage()
    with (
        pytest.raises(TooLarge, match="bound for staging is 99"),
        Staging(folder, 99, storage).local(thing("a")),
    ):
        pass
    assert storage.fetched == []


def test_dropped_and_swept_files_give_their_room_back_unless_they_are_read(folder: Path) -> None:
    staging = Staging(folder, 1000, Storage())
    a, b = thing("a.mp4"), thing("b.mp4")
    with staging.local(a) as in_use, staging.local(b):
        staging.drop(a)
        assert in_use.exists() and staging.sweep(0) == (0, 0)
    staging.drop(a)
    assert not in_use.exists() and held(folder) == 100
    assert staging.sweep(3600) == (0, 0)
    assert staging.sweep(0) == (1, 100)
    assert int((folder / HELD).read_text()) == 0


def test_a_failed_download_leaves_nothing_and_can_be_tried_again(folder: Path) -> None:
    def fail(wanted: StoredObject, file: Path) -> None:
        file.write_bytes(b"half")
        raise StorageUnreachable("gone.")

    with pytest.raises(StorageUnreachable), Staging(folder, 1000, fail).local(thing("a.mp4")):
        pass
    assert held(folder) == 0
    with Staging(folder, 100, Storage()).local(thing("a.mp4")) as file:
        assert file.read_bytes() == b"a" * 100


def test_a_disk_that_is_full_stops_with_advice(folder: Path) -> None:
    def full(wanted: StoredObject, file: Path) -> None:
        raise OSError(28, "No space left on device")

    with (
        pytest.raises(StorageFailed, match="disk is full"),
        Staging(folder, 1000, full).local(thing("a.mp4")),
    ):
        pass


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from vidpipe.adapters.sources.staging import Staging
    from vidpipe.records.videos import StoredObject

    def download(wanted, file):
        if wanted.name == "b.mp4":
            os.kill(os.getpid(), signal.SIGKILL)
        file.write_bytes(b"a" * wanted.size_bytes)

    staging = Staging(Path(sys.argv[1]), 1000, download)
    with staging.local(StoredObject("s3://bucket/a.mp4", 100, "1")):
        with staging.local(StoredObject("s3://bucket/b.mp4", 500, "1")):
            pass
"""


def test_a_killed_process_holds_nothing_and_its_half_file_is_replaced(folder: Path) -> None:
    killed = run_python(KILLED, folder)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert held(folder) == 600
    storage = Storage()
    staging = Staging(folder, 1000, storage)
    with staging.local(thing("b.mp4", 500)) as file, staging.local(thing("a.mp4")):
        assert file.read_bytes() == b"b" * 500
    assert storage.fetched == ["b.mp4"]
    assert int((folder / HELD).read_text()) == 600


def test_a_number_that_is_too_high_costs_one_look_at_the_folder(folder: Path) -> None:
    staging = Staging(folder, 1000, Storage())
    with staging.local(thing("a.mp4")):
        pass
    (folder / HELD).write_text("00000000000000999999")  # killed between promise and file
    with staging.local(thing("b.mp4")):
        assert int((folder / HELD).read_text()) == held(folder) == 200


def test_names_that_no_file_could_have_are_no_hindrance(folder: Path) -> None:
    staging = Staging(folder, 1000, Storage())
    for name in ("x" * 900 + ".mp4", "a\nb\0c.mp4", "日本" * 100 + ".mov", ".."):
        with staging.local(thing(name)) as file:
            assert file.parent == folder and file.exists()


def test_processes_share_one_bound(folder: Path) -> None:
    code = """
        import fcntl, sys, time
        from pathlib import Path
        from vidpipe.adapters.sources.staging import HELD, Staging
        from vidpipe.records.videos import StoredObject

        folder, most = Path(sys.argv[1]), 0

        def download(wanted, file):
            with file.open("r+b") as stream:  # in place, as every download: its size is counted meanwhile
                time.sleep(0.02)
                stream.write(b"a" * wanted.size_bytes)

        def together():
            with (folder / HELD).open() as reservations:
                fcntl.flock(reservations, fcntl.LOCK_EX)  # else a file and its successor are both counted
                return sum(f.stat().st_size for f in folder.iterdir() if f.name != HELD)

        staging = Staging(folder, 350, download)
        for number in range(20):
            with staging.local(StoredObject(f"s3://bucket/{sys.argv[2]}-{number % 7}.mp4", 100, "1")) as file:
                assert len(file.read_bytes()) == 100
                most = max(most, together())
        print(most)
    """
    running = [run_python(code, folder, name) for name in "abc"]
    ended = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], ended
    assert all(100 <= int(out) <= 350 for out, _ in ended)
