"""What tests share: the real binaries, the shared clips where they exist, homes in temporary folders."""

from __future__ import annotations

import csv
import logging
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import loaded_backbones
import new_stores
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from buckets import bucket, inbox, install, s3_server, s3_settings  # noqa: F401  (fixtures)
from homes import crowned_home, crowned_once  # noqa: F401  (fixtures)
from hypothesis import settings as property_settings

os.environ.update(
    DO_NOT_TRACK="true", MLFLOW_DISABLE_TELEMETRY="true", PREFECT_SERVER_ANALYTICS_ENABLED="false"
)

from vidpipe.adapters.database.warehouse import Warehouse
from vidpipe.adapters.media.binaries import Tools, find_tools
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.cli.display import TerminalProgress
from vidpipe.demo.clips import DemoCollection, make_collection
from vidpipe.ports import Ports
from vidpipe.settings import load_settings
from vidpipe.steps import hash_and_probe
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.wiring import Home, open_home, open_ports

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"


T = TypeVar("T")

SLOW_MODULES = {
    "backbones", "browse", "cli", "cli_manifest", "command", "cross_fitting", "damaged_features", "demo",
    "demo_clips", "describe", "docker", "docs", "end_to_end", "engines", "explain", "extract", "extraction",
    "flows", "gc_forget", "inference", "kills", "label", "label_issues", "ledger", "logs",
    "mlflow_store", "near_duplicates", "novelty", "objects", "promotion", "readers", "registry", "report",
    "runs", "served_model", "similar", "small_data", "sql", "timm_network", "train", "training", "tune",
    "verdicts", "windows", "world_breaks",
}  # fmt: skip
"""Test modules that take more than ten seconds of CPU, or start the command line throughout."""
property_settings.register_profile("every time the same", derandomize=True)
property_settings.load_profile("every time the same")

LONGEST = (
    "world_breaks", "kills", "promotion", "docs", "flows", "windows", "odd_registry", "end_to_end",
    "champion", "backup", "demo", "backbone_choice", "readers", "label", "identity", "versions",
)  # fmt: skip
"""Modules that take longest, the longest first: one of them begun last would keep one core busy alone."""
SLOW_FIXTURES = {"clips", "forked_python", "s3_server"}
"""Whatever uses one of them encodes and extracts videos, starts processes of its own, or a server."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what `make test-fast` leaves out, and begin with the longest files.

    Single tests of other modules are marked where they stand.
    """
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem.removeprefix("test_"), len(rank)))
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.path.stem.removeprefix("test_") in SLOW_MODULES or fixtures & SLOW_FIXTURES:
            item.add_marker(pytest.mark.slow)


def tree(root: Path, *names: str) -> Path:
    """A folder with files of these names."""
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    return root


def rows_of(file: Path) -> list[dict[str, str]]:
    """The lines of a CSV file."""
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write_part(home: Path, name: str, frames: Sequence[Sequence[float]]) -> None:
    """A part whose rows hold these features, below a home."""
    folder = home / "features" / "feature_set=f1"
    folder.mkdir(parents=True)
    features = pa.array(frames, pa.list_(pa.float32(), len(frames[0])))
    pq.write_table(pa.table({"features": features}), folder / name)


def certain(value: T | None) -> T:
    """The value, which is there."""
    assert value is not None
    return value


def concrete(port: object, adapter: type[T]) -> T:
    """The port as what it is behind its protocol: a test may look where steps may not."""
    assert isinstance(port, adapter)
    return port


def warehouse_rows(ports: Ports, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query on the published warehouse; steps only have named statements."""
    return concrete(ports.warehouse, Warehouse).query(sql).rows


def run_python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """The code in a process of its own, which is not waited for."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith("VIDPIPE_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _files_are_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests ingest what they have just written; those of files that grow set the pause anew."""
    monkeypatch.setattr(hash_and_probe, "QUIET_S", 0.0)


@pytest.fixture(scope="session")
def common_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this run of tests, whichever worker asks."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "common"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True, scope="session")
def _what_homes_begin_with_is_made_once(common_folder: Path) -> Iterator[None]:
    with new_stores.copied(common_folder / "stores"), loaded_backbones.shared():
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared real clips; tests that need them skip where they do not exist."""
    if not SHARED.is_dir():
        pytest.skip("the shared clips (../shared/data) are not here")
    return SHARED


@pytest.fixture(scope="session")
def tools() -> Tools:
    return find_tools()


@pytest.fixture(scope="session")
def videos(tools: Tools) -> VideoFiles:
    return VideoFiles(tools)


@pytest.fixture(scope="session")
def clips(common_folder: Path, tools: Tools) -> DemoCollection:
    """The demo's generator at its smallest: real H.264 files, 4 labels, train/val/test."""
    with new_stores.made_once(common_folder / "clips"):  # what is there already is kept
        return make_collection(common_folder / "clips", tools.ffmpeg, takes=6)


@pytest.fixture(scope="session")
def labelled_clips(
    shared_or_none: Path | None, clips: DemoCollection, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """(source, manifest) of 24 labelled real clips: the shared ones, or the generated ones."""
    if shared_or_none is None:
        return clips.labelled, clips.manifest
    source = shared_or_none / "ucf101"
    with (source / "splits.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    chosen = _six_of_each(rows, ("Archery", "HorseRace", "PlayingPiano", "Surfing"))
    manifest = tmp_path_factory.mktemp("manifest") / "clips24.csv"
    with manifest.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ["path", "label", "group", "split"])
        writer.writeheader()
        writer.writerows(chosen)
    return source, manifest


@pytest.fixture(scope="session")
def shared_or_none() -> Path | None:
    return SHARED if SHARED.is_dir() else None


def _six_of_each(rows: list[dict[str, str]], labels: tuple[str, ...]) -> list[dict[str, str]]:
    """Per label three train, one val and two test clips, each from another group."""
    chosen = []
    for label in labels:
        first_of_group = {r["group"]: r for r in reversed(rows) if r["label"] == label}
        ordered = sorted(first_of_group.values(), key=lambda r: int(r["group"]))
        tests = [r for r in ordered if r["split1"] == "test"][:2]
        others = [r for r in ordered if r["split1"] == "train"][:4]
        splits = ["test"] * 2 + ["train"] * 3 + ["val"]
        for row, split in zip([*tests, *others], splits, strict=True):
            chosen.append({"path": row["path"], "label": label, "group": row["group"], "split": split})
    return chosen


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A fresh, empty home."""
    return open_home(load_settings(tmp_path / "home"))


@pytest.fixture
def ports(home: Home) -> Ports:
    return open_ports(home, TerminalProgress())


@pytest.fixture(scope="session")
def make_ports() -> Callable[[Path], Ports]:
    """All ports of a home at the given path."""
    return lambda path: open_ports(open_home(load_settings(path)), TerminalProgress())


@pytest.fixture(scope="session")
def home_of_clips(
    labelled_clips: tuple[Path, Path], make_ports: Callable[[Path], Ports]
) -> Callable[[Path, int], Ports]:
    """All ports of a new home: its collection `clips` has features, so many frames a second."""

    def make(path: Path, sample_fps: int) -> Ports:
        source, manifest = labelled_clips
        path.mkdir(parents=True)
        (path / "vidpipe.toml").write_text(f"sample_fps = {sample_fps}\n")
        ports = make_ports(path)
        ingest(ports, "clips", source, manifest=manifest)
        extract(ports)
        return ports

    return make


@pytest.fixture(scope="session")
def forked_python() -> Iterator[list[str]]:
    """Command that starts `python` with the imports of `vidpipe` already made: see `fork_server.py`."""
    script, name = str(ROOT / "tests" / "fork_server.py"), f"vidpipe-tests-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        number = listener.fileno()
        command = [sys.executable, script, "serve", str(number)]
        server = subprocess.Popen(
            command, stdin=subprocess.PIPE, pass_fds=(number,), cwd=ROOT, env=dict(os.environ)
        )
    yield [sys.executable, "-I", "-S", script, "start", name]
    server.communicate()


@pytest.fixture(scope="session")
def forked_vidpipe(forked_python: list[str]) -> list[str]:
    """Command that starts `python -m vidpipe` so."""
    return [*forked_python, "-m", "vidpipe"]


@pytest.fixture(scope="session")
def program(forked_vidpipe: list[str], common_folder: Path) -> Callable[[str], list[str]]:
    """Command that starts a verb: a fork, but for its first start, which shows what it forgets to import."""

    def of(verb: str) -> list[str]:
        try:
            (common_folder / "started" / verb).mkdir(parents=True)
        except FileExistsError:
            return forked_vidpipe
        return [sys.executable, "-m", "vidpipe"]

    return of


@pytest.fixture
def vidpipe(
    program: Callable[[str], list[str]], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`vidpipe …` as a process of its own, on a home in the temporary folder."""

    def call(verb: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "VIDPIPE_HOME": str(tmp_path / "home"), **settings}
        command = [*program(verb), verb, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return call


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What the warehouse logs, also after a CLI test has taken `vidpipe` out of propagation."""
    logger = logging.getLogger("vidpipe.adapters.database.warehouse")
    before = logger.propagate
    logger.propagate = False
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)
    logger.propagate = before
