"""The tests' own short cut, a fork for each start of `vidpipe`, against starts as people make them."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import Popen

import pytest

from vidpipe.wiring import Home

TRUE_START = [sys.executable, "-m", "vidpipe"]


def environment(tmp_path: Path, **settings: str) -> dict[str, str]:
    return {**os.environ, "VIDPIPE_HOME": str(tmp_path / "home"), **settings}


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (["--version"], {}),
        (["frobnicate"], {}),
        (["collections", "--json"], {}),
        (["extract", "--collection", "nobody", "--json"], {}),
        (["status", "--home", "relative"], {}),
        (["status"], {"VIDPIPE_SAMPLE_FPS": "fast"}),
        (["--help"], {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "COLUMNS": "60"}),
    ],
)
def test_a_fork_says_and_ends_as_a_true_start_does(
    forked_vidpipe: list[str], tmp_path: Path, arguments: list[str], settings: dict[str, str]
) -> None:
    def outcome(program: list[str]) -> tuple[int, bytes, bytes]:
        ended = subprocess.run(
            [*program, *arguments], env=environment(tmp_path, **settings), cwd=tmp_path, input=b"",
            capture_output=True, check=False,
        )  # fmt: skip
        return ended.returncode, ended.stdout, ended.stderr

    assert outcome(forked_vidpipe) == outcome(TRUE_START)


def readers_of(terminal: str) -> set[int]:
    """Ids of the processes whose standard input is this terminal."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            if str((process / "fd" / "0").readlink()) == terminal:
                found.add(int(process.name))
    return found


@pytest.fixture
def prompt(forked_vidpipe: list[str], home: Home, tmp_path: Path) -> Iterator[tuple[Popen[bytes], int]]:
    """Running `vidpipe sql` that waits at its prompt: the started process, and the process id of its fork."""
    home.warehouse.publish()
    controller, terminal = pty.openpty()
    command = [*forked_vidpipe, "sql"]
    with Popen(command, env=environment(tmp_path), stdin=terminal, stdout=subprocess.DEVNULL) as started:
        while not (readers := readers_of(os.ttyname(terminal)) - {started.pid, os.getpid()}):
            assert started.poll() is None
            time.sleep(0.05)
        (fork,) = readers
        yield started, fork
        started.kill()
    os.close(controller)
    os.close(terminal)


def test_the_end_of_a_fork_by_a_signal_is_seen(prompt: tuple[Popen[bytes], int]) -> None:
    started, fork = prompt
    os.kill(fork, signal.SIGKILL)
    assert started.wait(60) == -signal.SIGKILL


def test_a_fork_does_not_outlive_what_was_started(prompt: tuple[Popen[bytes], int]) -> None:
    started, fork = prompt
    ended = os.pidfd_open(fork)
    started.kill()
    assert select.select([ended], [], [], 60)[0]
    os.close(ended)
