"""Where vidpipe runs changes nothing: no user name, no UTF-8, no Prefect server, a home of another user."""

from __future__ import annotations

import getpass
import io
import json
import os
import pwd
import re
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from privileges import without_privileges

from flows.shared import run_alone
from vidpipe.adapters.database.ledger import Ledger
from vidpipe.cli.demo import run_flow
from vidpipe.cli.display import print_csv, print_json, print_table
from vidpipe.cli.main import make_writable
from vidpipe.cli.serve import serve
from vidpipe.errors import ConfigurationError, LeaseHeld
from vidpipe.records.videos import Collection
from vidpipe.settings import load_settings
from vidpipe.steps.status import status
from vidpipe.wiring import Home, open_home, user_name

NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")
"""Where Python looks for the user's name before it asks the system."""


# -- who ---------------------------------------------------------------------------------------------


def test_a_user_who_has_a_number_and_no_name_is_called_by_the_number(monkeypatch: Any) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    with pytest.raises((KeyError, OSError)):
        getpass.getuser()
    assert user_name() == f"uid {os.getuid()}"
    assert getpass.getuser() == user_name(), "MLflow and PyTorch ask, too"
    monkeypatch.delenv("USER")


def test_a_user_without_a_folder_has_that_of_the_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    with pytest.raises(RuntimeError):
        Path.home()
    open_home(load_settings(tmp_path))
    assert Path.home() == tmp_path, "MLflow asks for it when it is imported"


def test_a_working_folder_that_was_removed_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(FileNotFoundError):
        Path.cwd()
    with pytest.raises(ConfigurationError, match="the working folder was removed"):
        load_settings(Path("home"))
    open_home(load_settings(tmp_path))
    assert Path.cwd().is_dir(), "MLflow asks for it"


# -- what a terminal can show ------------------------------------------------------------------------


def ascii_out(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """A stdout that knows ASCII alone; no fixture, since pytest sets its own between setup and call."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    return raw


def test_json_is_ascii_where_the_terminal_is_and_means_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    out = ascii_out(monkeypatch)
    print_json({"path": "café/ß.mp4"})
    assert json.loads(out.getvalue().decode("ascii")) == {"path": "café/ß.mp4"}


def test_csv_is_utf8_with_plain_line_ends_whatever_the_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    out = ascii_out(monkeypatch)
    print_csv(["path"], [("café.mp4",), ("a,b\nc",)])
    assert out.getvalue() == 'path\ncafé.mp4\n"a,b\nc"\n'.encode()


def test_what_a_terminal_cannot_show_becomes_an_escape_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    out = ascii_out(monkeypatch)
    make_writable(sys.stdout)
    print_table(["path"], [["café.mp4"]])
    sys.stdout.write("bar █\n")
    assert b"caf\\xe9.mp4" in out.getvalue() and b"bar \\u2588" in out.getvalue()


# -- a Prefect server that is away -------------------------------------------------------------------


@pytest.fixture
def dead_server(monkeypatch: pytest.MonkeyPatch) -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/api"
    monkeypatch.setenv("PREFECT_API_URL", url)
    return url


def test_a_flow_on_a_server_that_is_away_is_refused_in_one_line(
    dead_server: str, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    for start in (
        lambda: serve(home, cron="0 2 * * *", retrain_cron=None, port=4200),
        lambda: run_flow(home.settings.home, "demo"),
    ):
        with pytest.raises(ConfigurationError, match=f"{dead_server} does not answer") as caught:
            start()
        assert "unset PREFECT_API_URL" in caught.value.next_step
    from prefect.settings import PREFECT_API_URL, temporary_settings  # read on import, as a process begins

    with temporary_settings({PREFECT_API_URL: dead_server}), pytest.raises(SystemExit, match="1"):
        run_alone(lambda: pytest.fail("the flow was started"))
    said = capsys.readouterr().err
    assert re.search(f"{dead_server} does not answer.*unset PREFECT_API_URL", said)


@pytest.mark.slow
def test_a_flow_says_which_server_a_profile_sends_it_to(tmp_path: Path) -> None:
    """The shell has no address; a profile, or a file in the working folder, has one all the same."""
    (tmp_path / "profiles.toml").write_text(
        'active = "work"\n[profiles.work]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n'
    )
    environment = {"PREFECT_PROFILES_PATH": str(tmp_path / "profiles.toml"), "PATH": os.environ["PATH"]}
    environment |= {"PREFECT_HOME": str(tmp_path), "VIDPIPE_HOME": str(tmp_path / "home")}
    ended = subprocess.run(
        [sys.executable, "-m", "flows.nightly"], capture_output=True, text=True, check=False, env=environment
    )
    assert ended.returncode == 1
    first, last = ended.stderr.splitlines()
    assert first == "· the Prefect server at http://127.0.0.1:9/api records this run"
    assert "http://127.0.0.1:9/api does not answer" in last


def test_a_flow_that_finds_the_lease_held_exits_as_the_command_line_does() -> None:
    def held() -> None:
        raise LeaseHeld("another run is at work.")

    with pytest.raises(SystemExit, match="4"):
        run_alone(held)


# -- a home of another user --------------------------------------------------------------------------


def test_status_is_shown_to_a_user_who_may_read_the_home_and_not_write_it() -> None:
    with TemporaryDirectory() as temp:  # pytest's own folders are closed to others
        folder, state = Path(temp), Path(temp) / "state"
        ledger = Ledger(state / "ledger.duckdb")
        ledger.sources.put_collection(Collection("yard", "/videos/yard"))
        for file in state.iterdir():
            file.chmod(0o444)
        state.chmod(0o555)
        folder.chmod(0o755)
        with without_privileges():
            (shown,) = status(ledger, None)["collections"]
        state.chmod(0o755)
    assert shown["collection"] == "yard"
