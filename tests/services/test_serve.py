"""`vidpipe serve`, as a person runs it: a server of its own, nights by the clock, Ctrl-C."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest
from conftest import certain
from servers import MARK, QUIET, answers, free_port, kill_marked, marked, until

pytestmark = pytest.mark.services

ONCE_A_MINUTE = "* * * * *"


@contextmanager
def serving(home: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """`vidpipe serve` on a home; nothing of it is left afterwards."""
    mark = secrets.token_hex(16)
    command = [
        sys.executable,
        "-m",
        "vidpipe",
        "serve",
        "--cron",
        ONCE_A_MINUTE,
        "--port",
        str(port),
        "--json",
    ]
    process = subprocess.Popen(
        command, env={**os.environ, **QUIET, MARK: mark, "VIDPIPE_HOME": str(home)}, text=True,
        stdout=subprocess.PIPE, stderr=(home.parent / "serve.log").open("a"),
    )  # fmt: skip
    try:
        until("the server answers", lambda: answers(f"http://127.0.0.1:{port}/api/health"), 180)
        yield process
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        until("nothing of it is left", lambda: not marked(mark), 30)
    finally:
        kill_marked(mark)


def nights(home: Path) -> list[str]:
    """How the nights went so far."""
    file = home / "warehouse.duckdb"
    if not file.exists():
        return []
    with duckdb.connect(str(file), read_only=True) as warehouse:
        return [status for (status,) in warehouse.execute("select status from nights").fetchall()]


def test_nights_start_by_the_clock_and_ctrl_c_stops_everything(
    vidpipe: Any, tmp_path: Path, clips: Any
) -> None:
    home, port = tmp_path / "home", free_port()
    (tmp_path / "inbox").mkdir()
    for clip in sorted(clips.incoming.glob("*.mp4"))[:2]:
        shutil.copy(clip, tmp_path / "inbox")
    assert vidpipe("ingest", str(tmp_path / "inbox"), "--collection", "inbox").returncode == 0
    with serving(home, port) as process:
        until("a night has come", lambda: nights(home), 150)
        automations = httpx.post(f"http://127.0.0.1:{port}/api/automations/filter").json()
        assert [a["name"] for a in automations] == ["vidpipe-silence"]
        again = vidpipe("serve", "--port", str(free_port()))
        assert again.returncode == 4 and "another vidpipe serve" in again.stderr
    assert process.returncode == 0
    assert json.loads(certain(process.stdout).read())["seconds"] > 1
    assert set(nights(home)) == {"no_champion"}


def test_a_taken_port_and_a_wrong_cron_line_are_said_at_once(vidpipe: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = vidpipe("serve", "--port", str(listener.getsockname()[1]))
    assert ended.returncode == 1 and "is taken" in ended.stderr and "--port" in ended.stderr
    ended = vidpipe("serve", "--port", str(free_port()), "--cron", "tonight")
    assert ended.returncode == 2 and "'tonight' is not a cron line" in ended.stderr


def test_a_server_that_does_not_start_is_one_line_with_its_log(vidpipe: Any, tmp_path: Path) -> None:
    ended = vidpipe("serve", "--port", str(free_port()), PREFECT_SERVER_DATABASE_CONNECTION_URL="nonsense")
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("vidpipe: ") and str(tmp_path / "home" / "prefect" / "server.log") in last
