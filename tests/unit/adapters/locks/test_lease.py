"""The lease: one at a time, freed by the kernel, honest about who holds it.

The other holder is a real process, because that is what the lease is for.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from vidpipe.adapters.locks.file_lease import FileLease
from vidpipe.errors import LeaseHeld, StorageFailed

HOLDER = """
import sys
from pathlib import Path
from vidpipe.adapters.locks.file_lease import FileLease
with FileLease(Path(sys.argv[1])).hold(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "lease"


Holder = subprocess.Popen[str]


@pytest.fixture
def start_holder(file: Path) -> Iterator[Callable[[str], Holder]]:
    """Starts a process that holds the lease for a verb until its stdin is closed."""
    with ExitStack() as stack:

        def start(verb: str) -> Holder:
            command = [sys.executable, "-c", HOLDER, str(file), verb]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            return process

        yield start


def end(holder: Holder) -> None:
    assert holder.stdin is not None
    holder.stdin.close()
    assert holder.wait(timeout=10) == 0


def in_thread(action: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    return thread


def test_a_held_lease_is_refused_naming_verb_pid_host_and_time(
    file: Path, start_holder: Callable[[str], Holder]
) -> None:
    holder = start_holder("nightly")
    with pytest.raises(LeaseHeld) as caught, FileLease(file).hold("train"):
        raise AssertionError("two at once")
    assert f"nightly (pid {holder.pid} on {os.uname().nodename})" in caught.value.message
    assert "UTC" in caught.value.message
    assert "--wait" in caught.value.next_step


def test_a_refused_lease_is_not_mine(file: Path, start_holder: Callable[[str], Holder]) -> None:
    start_holder("nightly")
    lease = FileLease(file)
    with pytest.raises(LeaseHeld), lease.hold("train"):
        pass
    assert not lease.is_mine


def test_a_refusal_leaves_the_holders_line_and_lock_alone(
    file: Path, start_holder: Callable[[str], Holder]
) -> None:
    start_holder("nightly")
    for _ in range(2):
        with pytest.raises(LeaseHeld, match="nightly"), FileLease(file).hold("train"):
            pass


def test_the_lease_is_free_when_its_holder_ends(file: Path, start_holder: Callable[[str], Holder]) -> None:
    end(start_holder("nightly"))
    with FileLease(file).hold("train"):
        pass


def test_a_holder_killed_on_the_spot_holds_nothing(file: Path, start_holder: Callable[[str], Holder]) -> None:
    holder = start_holder("nightly")
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=10)
    assert "nightly" in file.read_text(), "its line is still there, but the lock decides"
    assert FileLease(file).holder() is None
    lease = FileLease(file)
    with lease.hold("train"):
        assert lease.is_mine
        assert (FileLease(file).holder() or {})["verb"] == "train"


def test_a_lease_refuses_another_object_of_the_same_process(file: Path) -> None:
    by_us = pytest.raises(LeaseHeld, match=f"train .pid {os.getpid()}")
    with FileLease(file).hold("train"), by_us, FileLease(file).hold("ingest"):
        pass


def test_a_step_within_a_run_may_hold_the_lease_again(file: Path) -> None:
    lease = FileLease(file)
    with lease.hold("nightly"):
        with lease.hold("ingest"):
            assert lease.is_mine
        assert lease.is_mine
        assert (FileLease(file).holder() or {})["verb"] == "nightly", "the outer run is who people wait for"
        with pytest.raises(LeaseHeld), FileLease(file).hold("train"):
            pass
    assert not lease.is_mine
    with FileLease(file).hold("train"):
        pass


def test_any_thread_of_the_run_may_hold_the_lease_and_the_last_one_frees_it(file: Path) -> None:
    lease, inside, go_on = FileLease(file), threading.Event(), threading.Event()

    def work() -> None:
        with lease.hold("extract"):
            inside.set()
            go_on.wait(10)

    with lease.hold("nightly"):
        thread = in_thread(work)
        assert inside.wait(5)
    assert lease.is_mine, "the thread still works"
    with pytest.raises(LeaseHeld), FileLease(file).hold("train"):
        pass
    go_on.set()
    thread.join(10)
    assert not lease.is_mine
    with FileLease(file).hold("train"):
        pass


def test_many_threads_leave_the_lease_free(file: Path) -> None:
    lease = FileLease(file)

    def work() -> None:
        for _ in range(50):
            with lease.hold("extract"):
                assert lease.is_mine

    with lease.hold("nightly"):
        for thread in [in_thread(work) for _ in range(8)]:
            thread.join(20)
    assert not lease.is_mine
    assert FileLease(file).holder() is None


def test_waiting_takes_the_lease_when_it_is_freed_and_not_before(
    file: Path, start_holder: Callable[[str], Holder]
) -> None:
    holder, lease, taken = start_holder("nightly"), FileLease(file), threading.Event()

    def wait_for_it() -> None:
        with lease.hold("train", wait=True):
            taken.set()

    thread = in_thread(wait_for_it)
    assert not taken.wait(0.5)
    end(holder)
    assert taken.wait(5)
    thread.join(5)
    assert not lease.is_mine


def test_without_wait_the_answer_comes_at_once(file: Path, start_holder: Callable[[str], Holder]) -> None:
    start_holder("nightly")
    started = time.monotonic()
    with pytest.raises(LeaseHeld), FileLease(file).hold("train"):
        pass
    assert time.monotonic() - started < 2


def test_an_error_inside_frees_the_lease_and_comes_through(file: Path) -> None:
    with pytest.raises(ZeroDivisionError), FileLease(file).hold("train"):
        raise ZeroDivisionError
    with FileLease(file).hold("ingest"):
        pass


def test_the_holder_is_told_truly(file: Path, start_holder: Callable[[str], Holder]) -> None:
    watcher = FileLease(file)
    assert watcher.holder() is None, "nobody has ever held it"
    assert not file.exists(), "looking creates nothing"
    holder = start_holder("nightly")
    told = watcher.holder()
    assert told is not None
    assert (told["verb"], told["pid"]) == ("nightly", holder.pid)
    assert set(told) == {"verb", "pid", "host", "since"}
    end(holder)
    assert watcher.holder() is None


def test_looking_does_not_disturb_the_holder(file: Path, start_holder: Callable[[str], Holder]) -> None:
    start_holder("nightly")
    for _ in range(3):
        assert FileLease(file).holder()
    with pytest.raises(LeaseHeld), FileLease(file).hold("train"):
        pass


def test_a_run_that_starts_a_program_does_not_lend_it_the_lease(file: Path) -> None:
    with FileLease(file).hold("train"):
        child = subprocess.Popen(["sleep", "30"], close_fds=False)
    try:
        with FileLease(file).hold("ingest"):
            pass
    finally:
        child.kill()
        child.wait()


def test_a_home_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    with (
        pytest.raises(StorageFailed, match="lease") as caught,
        FileLease(tmp_path / "state" / "lease").hold("x"),
    ):
        pass
    assert "--home" in caught.value.next_step


def test_many_train_at_once_and_each_knows_whether_it_is_the_only_one(file: Path) -> None:
    with FileLease(file).beside("training", shared=True) as first_only:
        with FileLease(file).beside("training", shared=True) as second_only:
            assert (first_only, second_only) == (True, False)
        with FileLease(file).hold("nightly"), FileLease(file).beside("promotion") as other_room:
            assert other_room
    with FileLease(file).beside("training", shared=True) as again:
        assert again


def test_promotions_go_one_after_the_other(file: Path) -> None:
    inside: list[str] = []

    def second() -> None:
        with FileLease(file).beside("promotion") as only:
            inside.append(f"second, only: {only}")

    with FileLease(file).beside("promotion"):
        with FileLease(file).beside("promotion", wait=False) as entered:
            assert not entered
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        inside.append("first")
    waiting.join(30)
    assert inside == ["first", "second, only: True"]
    with FileLease(file).beside("promotion", wait=False) as entered:
        assert entered
