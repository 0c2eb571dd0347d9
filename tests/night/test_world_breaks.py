"""The world breaks: full disks, dead servers, locked files, a clock set back, folders gone, nights at once.

The faults are real: a small tmpfs (or a file size limit where nothing may be mounted), a closed port, a lock
held by another process. Each gets one clear line and exit 1, nothing is lost, and the same command heals.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from conftest import concrete
from test_readers import copy_clips
from typer.testing import CliRunner

from benchmarks.survival import nights_at_once
from vidpipe import wiring
from vidpipe.adapters.database.ledger import Ledger
from vidpipe.adapters.database.session import now_utc
from vidpipe.adapters.features.store import FeatureStore
from vidpipe.adapters.models.registry import Registry
from vidpipe.cli.main import app
from vidpipe.errors import LedgerLocked
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.records.videos import Collection
from vidpipe.steps import nightly as nightly_step
from vidpipe.steps import score_shards
from vidpipe.steps.classify import classify
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.steps.nightly import nightly
from vidpipe.steps.promote import promote, rollback
from vidpipe.steps.train import train

NOBODY = 65534


def mount(folder: Path, options: str) -> bool:
    """Mount a tmpfs; False where that is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return (
        shutil.which("mount") is not None and subprocess.run(command, stderr=-3, check=False).returncode == 0
    )


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _may_mount() -> bool:
    folder = Path(mkdtemp())
    allowed = mount(folder, "size=64k")
    if allowed:
        unmount(folder)
    folder.rmdir()
    return allowed


MAY_MOUNT = _may_mount()


# -- homes and commands ---------------------------------------------------------------------------


@dataclass
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stdout)
        return found


def vidpipe(home: Path, *arguments: str) -> Ended:
    """The command line, in this process: `vidpipe ARGUMENTS --home HOME`."""
    ended = CliRunner().invoke(app, [*arguments, "--home", str(home)])
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return Ended(ended.exit_code, ended.stdout, ended.stderr)


def assert_refused(ended: Ended, *says: str) -> None:
    """Exit 1 and one clear line at the end."""
    assert ended.code == 1, ended
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("vidpipe: "), ended
    assert " Next: " in last
    assert all(word in last for word in says), last
    assert "Traceback" not in ended.stderr


def rows(home: Path, query: str) -> list[list[Any]]:
    """The published warehouse's answer."""
    ended = vidpipe(home, "sql", query, "--json")
    assert ended.code == 0, ended
    found: list[list[Any]] = ended.report["rows"]
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, crowned_home: Any, make_ports: Any) -> Path:
    """A home with six labelled clips, version 1 as champion, all scored, and version 2 as challenger."""
    home: Path = crowned_home(tmp_path_factory.mktemp("trained") / "home")
    ports = make_ports(home)
    train(ports, "clips", split_column="split", config=TrainingConfig(seed=1, epochs=1))
    classify(ports)
    return home


def copy_home(trained: Path, target: Path) -> Path:
    """A copy; the model files stay where the registry says that they are."""
    return shutil.copytree(trained, target, ignore=shutil.ignore_patterns("artifacts"), dirs_exist_ok=True)


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    return copy_home(trained, tmp_path / "home")


@pytest.fixture
def arrivals(clips: Any, tmp_path: Path) -> Path:
    """A folder with two new clips."""
    return copy_clips(clips, tmp_path / "arrivals", range(2))


def assert_whole(home: Path, videos: int) -> None:
    """So many videos, each with features and one prediction that serves; nothing twice, nothing left over."""
    assert rows(home, "select count(*), count(distinct video_id) from videos") == [[videos, videos]]
    assert rows(home, "select count(*), count(distinct video_id) from video_features") == [[videos, videos]]
    assert rows(home, "select count(*), count(distinct video_id) from latest_predictions") == [
        [videos, videos]
    ]
    parts = {part for (part,) in rows(home, "select distinct part from video_features")}
    assert {file.name for file in (home / "features").rglob("*") if file.is_file()} >= parts
    assert not list(home.glob(".*.tmp"))
    assert not list(home.glob("features/*/*.tmp"))


# -- the disk is full -----------------------------------------------------------------------------


class TmpfsDisk:
    """A home on a tmpfs of its own, which can be made full and grown again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        assert mount(folder, "size=64m")

    def leave(self, kilobytes: int) -> None:
        found = os.statvfs(self.folder)
        used = (found.f_blocks - found.f_bfree) * found.f_frsize // 1024
        self._resize(used + kilobytes)

    def grow(self) -> None:
        self._resize(64 * 1024)

    def _resize(self, kilobytes: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(self.folder)], check=True)

    def close(self) -> None:
        unmount(self.folder)


class LimitedDisk:
    """Where nothing may be mounted: a limit on the size of any one file stands for the full disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def leave(self, kilobytes: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, self._before[1]))

    def grow(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)

    close = grow


DISKS = {"limit": LimitedDisk} | ({"tmpfs": TmpfsDisk} if MAY_MOUNT else {})


@contextmanager
def on_its_own_disk(kind: str, folder: Path) -> Iterator[Any]:
    """The folder, with what is in it, on a disk that can be made full."""
    kept = folder.with_name(f"{folder.name} kept")
    folder.rename(kept)
    disk = DISKS[kind](folder)
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        with pytest.MonkeyPatch.context() as settings:
            if kind == "limit":  # it is one on every file, also on those that OpenVINO needs for a moment
                settings.setenv("VIDPIPE_ENGINE", "torch")
            yield disk
    finally:
        disk.close()
        shutil.rmtree(folder, ignore_errors=True)
        kept.rename(folder)


@contextmanager
def full(disk: Any, kilobytes: int) -> Iterator[None]:
    """Room for so much more, and no more, within the block."""
    disk.leave(kilobytes)
    try:
        yield
    finally:
        disk.grow()


@pytest.mark.parametrize("kind", DISKS)
def test_a_disk_that_fills_while_a_part_is_written(kind: str, home: Path, arrivals: Path) -> None:
    assert vidpipe(home, "ingest", str(arrivals), "--collection", "new").code == 0
    with on_its_own_disk(kind, home / "features") as disk:
        with full(disk, 40):  # the part takes about 100 kB
            assert_refused(vidpipe(home, "extract"), "cannot write", str(home / "features"))
            assert rows(home, "select count(*) from latest_predictions") == [[6]], "readers notice nothing"
        assert vidpipe(home, "extract", "--json").report["videos"] == 2
        assert vidpipe(home, "classify", "--json").report["classified"] == 2
        assert_whole(home, 8)


@pytest.mark.parametrize("kind", DISKS)
def test_a_disk_that_fills_while_publishing(kind: str, home: Path, arrivals: Path) -> None:
    assert vidpipe(home, "ingest", str(arrivals), "--collection", "new").code == 0
    with on_its_own_disk(kind, home) as disk:
        with full(disk, 1500):  # the part fits, a copy of the ledger does not
            assert_refused(vidpipe(home, "extract"), "cannot publish", str(home / "warehouse.duckdb"))
            assert rows(home, "select count(*) from latest_predictions") == [[6]], "the former snapshot stays"
        again = vidpipe(home, "nightly", "--json")
        assert (again.code, again.report["extracted"], again.report["classified"]) == (0, 0, 2)
        assert_whole(home, 8)


@pytest.mark.parametrize("kind", DISKS)
def test_a_disk_without_one_free_byte(kind: str, home: Path, arrivals: Path) -> None:
    verbs = (
        ("ingest", str(arrivals), "--collection", "new"), ("extract",), ("classify",), ("nightly",),
        ("train", "--collection", "clips"), ("promote",), ("rollback",),
    )  # fmt: skip
    with on_its_own_disk(kind, home) as disk:
        with full(disk, 0):
            for verb in verbs:
                assert_refused(vidpipe(home, *verb), "cannot write", str(home))
            assert rows(home, "select count(*) from latest_predictions") == [[6]]
        assert vidpipe(home, *verbs[0]).code == 0
        assert vidpipe(home, "nightly", "--json").report["classified"] == 2
        assert_whole(home, 8)


@pytest.mark.parametrize("kind", DISKS)
def test_a_disk_that_fills_under_mlflow(kind: str, home: Path) -> None:
    train_again = (
        "train",
        "--collection",
        "clips",
        "--split-column",
        "split",
        "--epochs",
        "1",
        "--seed",
        "9",
    )
    with on_its_own_disk(kind, home / "mlflow") as disk:
        with full(disk, 100 if kind == "limit" else 0):  # the lease and the ledger are elsewhere, and fit
            assert_refused(vidpipe(home, *train_again), "cannot write", str(home / "mlflow" / "mlflow.db"))
        assert vidpipe(home, *train_again, "--json").report["version"] == 3
    assert_whole(home, 6)


# -- the home is read-only ------------------------------------------------------------------------


@contextmanager
def read_only_mount(home: Path) -> Iterator[None]:
    assert mount(home, "size=64m")
    shutil.copytree(home.with_name("kept"), home, dirs_exist_ok=True)
    subprocess.run(["mount", "-o", "remount,ro", str(home)], check=True)
    try:
        yield
    finally:
        unmount(home)


@contextmanager
def somebody_else(home: Path) -> Iterator[None]:
    """As a user to whom the home does not belong; who is not root has it taken away by its mode."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)
        return
    folders = [home, *(f for f in home.rglob("*") if f.is_dir())]
    files = [f for f in home.rglob("*") if f.is_file()]
    modes = {f: f.stat().st_mode for f in (*files, *folders)}
    for path, mode in modes.items():
        path.chmod(mode & 0o555)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


READ_ONLY = {"another user's": somebody_else} | ({"read-only mount": read_only_mount} if MAY_MOUNT else {})


@pytest.mark.parametrize("how", READ_ONLY)
def test_a_home_that_cannot_be_written_says_so_and_can_be_read(
    how: str, trained: Path, arrivals: Path
) -> None:
    folder = Path(mkdtemp())
    folder.chmod(0o755)
    try:
        home = copy_home(trained, folder / "home")
        if how == "read-only mount":
            copy_home(trained, folder / "kept")
        vidpipe(home, "models")  # all modules that MLflow loads late may be out of reach for another user
        with READ_ONLY[how](home):
            for verb in (
                ("ingest", str(arrivals), "--collection", "new"), ("extract",), ("classify",), ("nightly",),
                ("train", "--collection", "clips"), ("promote",), ("rollback",),
            ):  # fmt: skip
                assert_refused(vidpipe(home, *verb), "cannot write", str(home))
            assert rows(home, "select count(*) from latest_predictions") == [[6]]
            for verb in (("status",), ("models",)):
                assert vidpipe(home, *verb).code == 0, "who may not write may look"
        assert vidpipe(home, "nightly").code == 0
        assert_whole(home, 6)
    finally:
        shutil.rmtree(folder)


# -- MLflow is away -------------------------------------------------------------------------------


class EmptyMlflow(BaseHTTPRequestHandler):
    """What a server without any model answers."""

    def do_GET(self) -> None:  # its name is given
        known = "experiments" in self.path
        experiment = {"experiment": {"experiment_id": "1", "name": "vidpipe"}}
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(
            json.dumps(experiment if known else {"error_code": "RESOURCE_DOES_NOT_EXIST"}).encode()
        )

    do_POST = do_GET  # noqa: N815 (its name is given)

    def log_message(self, *_: Any) -> None:
        """Keep the terminal clean."""


@pytest.fixture
def dead_uri(monkeypatch: pytest.MonkeyPatch) -> str:
    """A server that has stopped: its port is closed. It is tried twice, without a pause."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def test_a_dead_mlflow_server_stops_what_needs_it_and_nothing_else(
    home: Path, arrivals: Path, dead_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(home / "models")  # the copies that a night would score with
    with monkeypatch.context() as server_away:
        server_away.setenv("VIDPIPE_MLFLOW_URI", dead_uri)
        assert vidpipe(home, "ingest", str(arrivals), "--collection", "new").code == 0
        for verb in (("train", "--collection", "clips"), ("promote",), ("classify",)):
            assert_refused(vidpipe(home, *verb), "MLflow", dead_uri, "VIDPIPE_MLFLOW_URI")
        night = vidpipe(home, "nightly", "--json")
        assert (night.code, night.report["status"], night.report["extracted"]) == (1, "failed", 2)
        (problem,) = night.report["problems"]
        assert dead_uri in problem and "VIDPIPE_MLFLOW_URI" in problem
        assert rows(home, "select count(*) from video_features") == [[8]], "extracted, published"
        assert rows(home, "select count(*) from latest_predictions") == [[6]]
        assert rows(home, "select status, ok from nights") == [["failed", False]]
    night = vidpipe(home, "nightly", "--json")
    assert (night.code, night.report["extracted"], night.report["classified"]) == (0, 0, 2)
    assert_whole(home, 8)


def test_a_server_that_comes_back_within_seconds_costs_only_the_wait(
    tmp_path: Path, dead_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES")
    server = HTTPServer(("127.0.0.1", 0), EmptyMlflow, bind_and_activate=False)
    server.server_address = ("127.0.0.1", int(dead_uri.rpartition(":")[2]))

    def come_back() -> None:
        server.server_bind()
        server.server_activate()
        server.serve_forever()

    threading.Timer(1.0, come_back).start()
    try:
        assert Registry(tmp_path, "clips", dead_uri).aliases() == {}
    finally:
        server.shutdown()
        server.server_close()


def test_a_server_that_dies_in_the_night_costs_no_finished_work(
    home: Path, arrivals: Path, dead_uri: str, make_ports: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = make_ports(home)
    ingest(ports, "new", arrivals)
    classify_news = nightly_step.classify_news

    def with_a_dead_server(ports: Ports, night: Any) -> None:
        away = Registry(home / "mlflow", ports.registry.model, dead_uri)
        classify_news(replace(ports, registry=away), night)

    with monkeypatch.context() as dying:
        dying.setattr(nightly_step, "classify_news", with_a_dead_server)
        night = nightly(ports)
    assert (night.status, night.extracted, night.classified) == ("degraded", 2, 2), "scored with the copy"
    assert dead_uri in night.problems[0]
    assert_whole(home, 8)
    night = nightly(make_ports(home))
    assert (night.status, night.extracted, night.classified) == ("ok", 0, 0)


# -- the ledger is locked -------------------------------------------------------------------------

HOLDER = """
import sys, duckdb
con = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_open(file: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the file open for writing."""
    command = [sys.executable, "-c", HOLDER, str(file)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_ledger_that_somebody_has_open_is_waited_for_and_then_named(
    home: Path, arrivals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / "state" / "ledger.duckdb"
    monkeypatch.setattr(wiring, "Ledger", partial(Ledger, wait_s=0.5))
    with held_open(file):
        started = time.monotonic()
        with pytest.raises(LedgerLocked, match=r"ledger\.duckdb"):
            Ledger(file, wait_s=0.5).sources.collections()
        assert 0.5 <= time.monotonic() - started < 5
        for verb in (("ingest", str(arrivals), "--collection", "new"), ("nightly",), ("promote",)):
            assert_refused(vidpipe(home, *verb), str(file), "close it")
        assert rows(home, "select count(*) from latest_predictions") == [[6]]
    assert vidpipe(home, "ingest", str(arrivals), "--collection", "new").code == 0
    assert vidpipe(home, "nightly", "--json").report["classified"] == 2
    assert_whole(home, 8)


def test_a_ledger_closed_within_the_wait_costs_only_the_wait(home: Path) -> None:
    ledger = Ledger(home / "state" / "ledger.duckdb", wait_s=30)
    with held_open(ledger.database.file) as holder:
        threading.Timer(1.0, holder.kill).start()
        started = time.monotonic()
        assert [c.name for c in ledger.sources.collections()] == ["clips"]
        assert 0.9 < time.monotonic() - started < 20


# -- the clock is set back ------------------------------------------------------------------------


def test_a_clock_set_back_loses_no_row_and_brings_no_old_champion_back(
    home: Path, arrivals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = now_utc()
    assert vidpipe(home, "nightly").code == 0
    yesterday = before - timedelta(days=1)
    for module in ("runs", "sources", "failures", "features", "predictions", "decisions", "connection"):
        name = f"vidpipe.adapters.database.{module}.now_utc"
        monkeypatch.setattr(name, lambda: now_utc() - timedelta(days=1))
    assert vidpipe(home, "ingest", str(arrivals), "--collection", "new").code == 0
    assert vidpipe(home, "promote", "2", "--force", "--reason", "a test").code == 0
    night = vidpipe(home, "nightly", "--json")
    assert (night.code, night.report["extracted"], night.report["classified"]) == (0, 2, 2), "6 in the shadow"
    assert_whole(home, 8)
    assert rows(home, "select distinct model_version from latest_predictions") == [[2]]
    assert rows(home, "select count(*) from nights where ok") == [[2]]
    assert rows(home, "select count(*) from runs where status <> 'ok'") == [[0]]
    assert vidpipe(home, "status", "--json").report["champion"] == 2
    instants = {"then": yesterday + timedelta(minutes=30), "now": before + timedelta(hours=1)}
    assert {name: champion_at(home, at) for name, at in instants.items()} == {"then": 2, "now": 2}
    assert champion_at(home, before - timedelta(days=2)) is None
    assert vidpipe(home, "rollback").code == 0
    assert champion_at(home, instants["now"]) == 1


def champion_at(home: Path, instant: datetime) -> int | None:
    ((version,),) = rows(home, f"select champion_as_of(timestamp '{instant}')")
    return None if version is None else int(version)


# -- a folder is gone -----------------------------------------------------------------------------


@contextmanager
def renamed(source: Path) -> Iterator[None]:
    source.rename(source.with_name("away"))
    yield
    source.with_name("away").rename(source)


@contextmanager
def emptied(source: Path) -> Iterator[None]:
    """What an unmounted folder looks like: there, and empty."""
    with renamed(source):
        source.mkdir()
        yield
        source.rmdir()


@contextmanager
def unmounted(source: Path) -> Iterator[None]:
    """The real thing, the other way round: an empty file system over the folder."""
    assert mount(source, "size=64k")
    yield
    unmount(source)


@contextmanager
def unlistable(source: Path) -> Iterator[None]:
    """A folder so deep that the kernel refuses to list it."""
    above = os.open(source, os.O_RDONLY)
    for _ in range(17):
        os.mkdir("d" * 250, dir_fd=above)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=above)
        os.close(above)
        above = below
    os.close(above)
    yield
    shutil.rmtree(source / ("d" * 250))


AWAY = {"renamed": renamed, "emptied": emptied, "too deep": unlistable} | (
    {"unmounted": unmounted} if MAY_MOUNT else {}
)


@pytest.fixture
def two_sources(home: Path, clips: Any, tmp_path: Path, make_ports: Any) -> tuple[Ports, Path, Path]:
    """Ports, and the folders of two collections of one clip each, of which the night knows."""
    first = copy_clips(clips, tmp_path / "first", range(1))
    second = copy_clips(clips, tmp_path / "second", range(1, 2))
    ports = make_ports(home)
    for source in (first, second):
        ingest(ports, source.name, source)
    nightly(ports)
    return ports, first, second


def test_a_folder_that_is_away_keeps_its_videos_and_the_others_are_done(
    home: Path, two_sources: tuple[Ports, Path, Path], clips: Any
) -> None:
    _, first, second = two_sources
    for number, (how, gone) in enumerate(AWAY.items(), start=2):
        copy_clips(clips, second, range(1, number + 1))
        with gone(first):
            night = vidpipe(home, "nightly", "--json")
        assert (night.code, night.report["status"]) == (1, "failed"), how
        (problem,) = night.report["problems"]
        assert problem.startswith("first: ") and str(first) in problem, how
        assert (night.report["extracted"], night.report["classified"]) == (1, 1), how
        present = "select present from collection_videos where collection = 'first'"
        assert rows(home, present) == [[True]], how
        assert rows(home, "select ok from nights order by run_id desc limit 1") == [[False]], how
    healed = vidpipe(home, "nightly", "--json")
    assert (healed.code, healed.report["status"], healed.report["ingested"]) == (0, "ok", 0)
    assert_whole(home, 8 + len(AWAY))


def test_a_folder_that_goes_in_the_middle_of_the_night(
    home: Path, two_sources: tuple[Ports, Path, Path], clips: Any
) -> None:
    ports, first, second = two_sources
    for source, numbers in ((first, range(2, 4)), (second, range(1, 2))):
        copy_clips(clips, source, numbers)

    class Leaving(type(ports.catalog)):  # type: ignore[misc]
        def list_folder(self, source: Path, **options: Any) -> Any:
            listed = super().list_folder(source, **options)
            if source == first:
                first.rename(first.with_name("away"))
            return listed

    night = nightly(replace(ports, catalog=Leaving()))
    assert (night.extracted, night.failed) == (0, 2)
    present = "select count(*) from collection_videos where collection = 'first' and not present"
    assert rows(home, present) == [[0]]
    assert rows(home, "select distinct error_class, status from failures") == [["Vanished", "retry"]]
    first.with_name("away").rename(first)
    healed = vidpipe(home, "nightly", "--json")
    assert (healed.code, healed.report["extracted"], healed.report["failed"]) == (0, 2, 0)
    assert rows(home, "select distinct status from failures") == [["resolved"]]
    assert_whole(home, 10)


def test_a_link_that_leads_in_a_circle_is_no_video_and_no_crash(home: Path, arrivals: Path) -> None:
    (arrivals / "circle.mp4").symlink_to("circle.mp4")
    (arrivals / "nowhere.mp4").symlink_to("nothing.mp4")
    assert vidpipe(home, "ingest", str(arrivals), "--collection", "new", "--json").report["videos"] == 2


# -- many at once ---------------------------------------------------------------------------------


def test_eight_nights_started_together_yield_one_set_of_rows(home: Path, arrivals: Path) -> None:
    assert vidpipe(home, "ingest", str(arrivals), "--collection", "new").code == 0
    nights = nights_at_once(home, [[], ["--wait"]] * 4)
    assert [night.code for night in nights if night.code not in (0, 4)] == []
    assert all("Traceback" not in night.stderr for night in nights)
    assert sorted(night.did for night in nights) == [0] * 7 + [4], "two extracted and classified, once"
    refused = [night for night in nights if night.code == 4]
    assert refused, "nobody was there at the same time"
    pids = {night.pid for night in nights if night.code == 0}
    for night in refused:
        message = json.loads(night.stdout)["error"]["message"]
        assert any(message.startswith(f"nightly (pid {pid} on ") for pid in pids), message
    waited = [night for number, night in enumerate(nights) if number % 2]
    assert [night.code for night in waited] == [0] * 4
    assert rows(home, "select count(*) from nights where ok") == [[8 - len(refused)]]
    assert rows(home, "select count(*) from runs where status <> 'ok'") == [[0]]
    assert_whole(home, 8)


# -- in the middle of a run -----------------------------------------------------------------------


@contextmanager
def classify_stopped_half_way(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """A classify run that has stored one video's predictions when the block begins, and goes on after it."""
    monkeypatch.setattr(score_shards, "SHARD_VIDEOS", 1)
    half_way, go_on = threading.Event(), threading.Event()
    reports: list[Any] = []

    class Stopping(type(ports.store)):  # type: ignore[misc]
        reads = 0

        def read(self, *arguments: Any) -> Any:
            self.reads += 1
            if self.reads == 2:
                half_way.set()
                assert go_on.wait(60)
            return super().read(*arguments)

    store = Stopping(concrete(ports.store, FeatureStore)._root)
    work = threading.Thread(target=lambda: reports.append(classify(replace(ports, store=store))))
    work.start()
    try:
        assert half_way.wait(60)
        yield reports
    finally:
        go_on.set()
        work.join(60)


def by_version(home: Path, report: Any) -> Sequence[Any]:
    query = f"select model_version, count(distinct video_id) from predictions where run_id = {report.run_id}"
    return rows(home, f"{query} group by 1")


def test_a_promotion_in_the_middle_of_a_run_changes_nothing_in_it(
    home: Path,
    clips: Any,
    tmp_path: Path,
    make_ports: Callable[[Path], Ports],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ports = make_ports(home)
    ingest(ports, "new", copy_clips(clips, tmp_path / "new", range(3)))
    extract(ports)
    with classify_stopped_half_way(ports, monkeypatch) as reports:
        promoted = promote(make_ports(home), "2", force=True, reason="a test")
        assert (promoted.version, promoted.decision) == (2, "forced")
        assert rows(home, "select count(distinct video_id) from predictions") == [[7]], "really in the middle"
    (report,) = reports
    assert (report.version, report.classified) == (1, 3)
    assert by_version(home, report) == [[1, 3]]
    assert rows(home, "select distinct model_version from latest_predictions where collection = 'clips'") == [
        [1]
    ]
    later = classify(make_ports(home))
    assert (later.version, later.classified) == (2, 9)
    assert by_version(home, later) == [[2, 9]]
    assert rows(home, "select distinct model_version from latest_predictions") == [[2]]
    assert_whole(home, 9)


def test_a_version_rolled_back_in_the_middle_of_its_run_does_not_come_back(
    home: Path, make_ports: Callable[[Path], Ports], monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = make_ports(home)
    promote(ports, "2", force=True, reason="a test")
    with classify_stopped_half_way(ports, monkeypatch) as reports:
        assert rollback(make_ports(home)).version == 1
    (report,) = reports
    assert by_version(home, report) == [[2, 6]]
    assert rows(home, "select distinct model_version from collection_serving") == [[1]]
    assert rows(home, "select distinct model_version from latest_predictions") == [[1]]


def test_a_ledger_without_promotions_lets_a_collection_switch(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state" / "ledger.duckdb")
    ledger.sources.put_collection(Collection("street", "/videos"))
    ledger.predictions.switch_serving(1)
    assert ledger.predictions.serving_versions() == {}, "nothing to serve yet, and no error"
