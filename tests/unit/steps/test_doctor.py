"""The doctor: one honest line for each thing, whatever happens to the others, and no trace left."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from vidpipe.adapters import machine
from vidpipe.errors import ConfigurationError, LeaseLost, LedgerLocked, StorageUnreachable
from vidpipe.ports.doctor import Probes
from vidpipe.records.machine import (
    DiskFacts,
    ModelFault,
    NetworkFacts,
    ServiceFacts,
    StagingFacts,
    ToolFacts,
    Unfinished,
)
from vidpipe.steps.doctor import DECODERS, DoctorResult, Line, doctor
from vidpipe.wiring import Home, open_probes

TOOL = ToolFacts("/bin/ffmpeg", "n9", 12.0, frozenset({*DECODERS, "gif"}))
NETWORK = NetworkFacts("2.13", "cpu-AVX512", "bfloat16", True, 2, "a" * 64, "a" * 64)
DISK = DiskFacts(Path("/home/x"), True, True, "/", "ext4", 100 << 30)
TIDY = Unfinished(2, 2, [], [], frozenset(), ["/videos", "s3://bucket/videos"])
PARTS = frozenset({("spec", "part-1"), ("spec", "part-2")})
ROOM = StagingFacts(8 << 30, 1 << 30, 100 << 30)
WELL = Probes(
    ffmpeg=lambda: TOOL,
    ffprobe=lambda: TOOL,
    network=lambda: NETWORK,
    disk=lambda: DISK,
    mlflow=lambda: ServiceFacts("mlflow.db", None),
    models=lambda found: [],
    prefect=lambda: ServiceFacts("prefect", None),
    version_conflicts=lambda: [],
    lease_holder=lambda: None,
    unfinished=lambda: TIDY,
    unnamed_parts=lambda named: [],
    gone_parts=lambda named: 0,
    features=lambda: "s3://bucket/features",
    reach=lambda source: None,
    staging=lambda: ROOM,
    snapshot=lambda: ServiceFacts("warehouse.duckdb", None),
)


def line(report: DoctorResult, check: str) -> Line:
    (found,) = [found for found in report.lines if found.check == check]
    return found


def raising(error: Exception) -> Callable[[], Any]:
    def probe() -> Any:
        raise error

    return probe


def test_where_all_is_well_every_line_says_ok() -> None:
    report = doctor(WELL)

    assert {found.state for found in report.lines} == {"ok"}
    assert {found.check for found in report.lines} >= {"lease", "features", "sources", "staging"}
    assert report.is_well


DAY_OLD = 25 * 3600.0


@pytest.mark.parametrize(
    ("check", "state", "ill"),
    [
        ("decoders", "fix", {"ffmpeg": lambda: replace(TOOL, decoders=frozenset({"h264"}))}),
        ("ffmpeg", "warning", {"ffmpeg": lambda: replace(TOOL, start_ms=900.0)}),
        ("weights", "fix", {"network": lambda: replace(NETWORK, weights_sha256="b" * 64)}),
        ("weights", "fix", {"network": lambda: replace(NETWORK, weights_sha256=None)}),
        ("packages", "warning", {"version_conflicts": lambda: ["duckdb is 0.9, >=1.5 is needed"]}),
        ("home", "fix", {"disk": lambda: replace(DISK, writable=False)}),
        ("disk", "fix", {"disk": lambda: replace(DISK, free_bytes=1 << 20)}),
        ("disk", "warning", {"disk": lambda: replace(DISK, free_bytes=1 << 30)}),
        ("disk", "warning", {"disk": lambda: replace(DISK, file_system="nfs4")}),
        ("mlflow", "fix", {"mlflow": lambda: ServiceFacts("http://x", "refused")}),
        ("models", "fix", {"models": lambda found: [ModelFault("version 1 is gone", "vidpipe train")]}),
        ("prefect", "fix", {"prefect": lambda: ServiceFacts("http://x", "refused")}),
        ("runs", "warning", {"unfinished": lambda: replace(TIDY, open_runs=[(7, "extract")])}),
        ("decisions", "warning", {"unfinished": lambda: replace(TIDY, open_intents=[(3, "promoted", 4)])}),
        ("ledger", "fix", {"unfinished": lambda: replace(TIDY, schema=9)}),
        ("parts", "warning", {"unnamed_parts": lambda named: [1.0, DAY_OLD]}),
        (
            "parts",
            "warning",
            {"unfinished": lambda: replace(TIDY, parts=PARTS), "gone_parts": lambda named: 1},
        ),
        ("parts", "fix", {"unfinished": lambda: replace(TIDY, parts=PARTS), "gone_parts": len}),
        ("warehouse", "fix", {"snapshot": lambda: ServiceFacts("w", "not a database")}),
        ("lease", "fix", {"lease_holder": raising(LeaseLost("PostgreSQL does not answer"))}),
        ("features", "fix", {"features": raising(ConfigurationError("may not write"))}),
        ("features", "fix", {"features": raising(StorageUnreachable("silent"))}),
        ("parts", "fix", {"unnamed_parts": lambda named: raising(StorageUnreachable("silent"))()}),
        ("sources", "fix", {"reach": lambda source: raising(StorageUnreachable("silent"))()}),
        ("staging", "warning", {"staging": lambda: replace(ROOM, free_bytes=6 << 30)}),
        ("staging", "ok", {"staging": lambda: replace(ROOM, free_bytes=7 << 30)}),
        ("ledger", "warning", {"unfinished": raising(LedgerLocked("busy", next_step="wait."))}),
        ("ffprobe", "fix", {"ffprobe": raising(ConfigurationError("none found", next_step="install it."))}),
        ("torch", "warning", {"network": raising(RuntimeError("surprise"))}),
    ],
)
def test_what_is_wrong_has_its_line_and_the_others_stay(check: str, state: str, ill: Any) -> None:
    report = doctor(replace(WELL, **ill))

    assert line(report, check).state == state
    assert report.is_well == (state != "fix")
    assert line(report, "lease").state == ("fix" if check == "lease" else "ok")
    assert line(report, "warehouse").state == ("fix" if check == "warehouse" else "ok")


def test_each_source_that_is_gone_has_its_line_and_storage_that_is_silent_one_for_all() -> None:
    def gone(source: str) -> None:
        raise ConfigurationError(f"there is no {source}", next_step="mount it.")

    def silent(source: str) -> None:
        asked.append(source)
        raise StorageUnreachable("no answer", next_step="check the network.")

    asked: list[str] = []
    assert line(doctor(WELL), "sources").message == "all there (2)"
    of_gone = [found for found in doctor(replace(WELL, reach=gone)).lines if found.check == "sources"]
    assert [found.message for found in of_gone] == [f"there is no {source}" for source in TIDY.sources]
    assert line(doctor(replace(WELL, reach=silent)), "sources").next == "check the network."
    assert asked == ["/videos"]


def test_a_home_without_buckets_has_no_lines_about_them() -> None:
    probes = replace(WELL, features=lambda: None, unfinished=lambda: replace(TIDY, sources=["/videos"]))
    assert not {"features", "staging"} & {found.check for found in doctor(probes).lines}


def test_where_the_ledger_cannot_be_read_one_line_says_so() -> None:
    report = doctor(replace(WELL, unfinished=raising(LedgerLocked("busy", next_step="wait."))))
    assert [found.check for found in report.lines if found.state != "ok"] == ["ledger"]


def test_what_is_to_be_fixed_names_the_next_step() -> None:
    def broken() -> Any:
        raise ConfigurationError("gone", next_step="put it back.")

    ill = replace(WELL, ffmpeg=broken, disk=lambda: replace(DISK, writable=False, free_bytes=0))

    assert all(found.next for found in doctor(ill).lines if found.state == "fix")


def test_a_run_is_at_work_while_somebody_holds_the_lease() -> None:
    holder = {"verb": "extract", "pid": 7, "host": "h", "since": "2026-01-01 00:00:00"}
    probes = replace(
        WELL, lease_holder=lambda: holder, unfinished=lambda: replace(TIDY, open_runs=[(7, "extract")])
    )

    report = doctor(probes)

    assert "extract (pid 7 on h)" in line(report, "lease").message
    assert line(report, "runs") == Line("runs", "ok", "at work: extract 7")


def hanging() -> NetworkFacts:
    time.sleep(60)
    raise AssertionError("nobody waits so long")


def test_a_probe_that_hangs_costs_its_own_line_only() -> None:
    started = time.monotonic()
    report = doctor(replace(WELL, network=hanging), wait_s=0.3)

    assert time.monotonic() - started < 3
    assert "no answer within 0.3 s" in line(report, "torch").message
    assert line(report, "home").state == "ok"


# -- on this machine ----------------------------------------------------------------------------


def test_here_all_is_well_within_five_seconds_and_no_home_is_made(vidpipe: Any, tmp_path: Path) -> None:
    ended = vidpipe("doctor", "--json")

    report = json.loads(ended.stdout)
    assert {found["check"] for found in report["lines"]} >= {"ffmpeg", "torch", "home", "mlflow"}
    assert [found for found in report["lines"] if found["state"] == "fix"] == []
    assert (ended.returncode, report["seconds"] <= 5) == (0, True)
    assert not (tmp_path / "home").exists()


def test_a_fix_exits_1_and_people_read_the_next_step(vidpipe: Any) -> None:
    ended = vidpipe("doctor", VIDPIPE_FFMPEG="/no/such/ffmpeg", VIDPIPE_MLFLOW_URI="http://127.0.0.1:1")

    assert ended.returncode == 1
    assert "fix      ffmpeg" in ended.stdout and "fix      mlflow" in ended.stdout
    assert "next: pip install imageio-ffmpeg" in ended.stdout
    assert "ok       ffprobe" in ended.stdout


def test_a_setting_that_cannot_be_right_is_the_first_thing_to_mend(vidpipe: Any) -> None:
    ended = vidpipe("doctor", VIDPIPE_WORKER="2")

    assert ended.returncode == 1
    assert "did you mean VIDPIPE_WORKERS?" in ended.stdout


@pytest.mark.slow
def test_open_runs_and_orphans_of_a_real_home_are_seen_and_left_alone(home: Home) -> None:
    run_id = home.ledger.runs.start("extract")
    orphan = home.settings.home / "features" / "feature_set=f" / "part-1.parquet"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"x")
    os.utime(orphan, (0, 0))
    before = sorted(home.settings.home.rglob("*"))

    report = doctor(open_probes(home), wait_s=30)

    assert f"extract {run_id}" in line(report, "runs").message
    assert (line(report, "parts").state, line(report, "parts").next) == ("warning", "vidpipe gc")
    assert sorted(home.settings.home.rglob("*")) == before


@pytest.mark.slow
def test_a_ledger_that_is_in_use_is_not_waited_for(home: Home) -> None:
    home.ledger.runs.start("extract")
    with home.ledger.database.exclusive():
        report = doctor(open_probes(home), wait_s=30)

    assert line(report, "ledger").state == "warning"
    assert "has kept" in line(report, "ledger").message


@pytest.mark.slow
def test_a_file_that_is_no_database_is_a_fix(home: Home) -> None:
    for name in ("warehouse.duckdb", "mlflow/mlflow.db"):
        file = home.settings.home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("not a database, but long enough to look like one to a careless reader")

    report = doctor(open_probes(home), wait_s=30)

    assert (line(report, "warehouse").state, line(report, "mlflow").state) == ("fix", "fix")


# -- probes -------------------------------------------------------------------------------------


@contextmanager
def health_server(status: int) -> Any:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path.endswith("/health") else 404)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_servers_are_asked_for_their_health(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with health_server(200) as uri:
        monkeypatch.setenv("PREFECT_API_URL", f"{uri}/api")
        assert machine.mlflow(tmp_path, uri).problem is None
        assert machine.prefect(tmp_path).problem is None
    with health_server(500) as uri:
        assert "500" in str(machine.mlflow(tmp_path, uri).problem)


def test_a_server_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        found = machine.mlflow(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}")

    assert found.problem and time.monotonic() - started < 4


def test_the_home_is_judged_by_the_folder_in_which_it_would_be_made(tmp_path: Path) -> None:
    found = machine.disk(tmp_path / "not" / "yet")

    assert (found.exists, found.writable) == (False, True)
    assert found.free_bytes > 0
    assert Path(found.mount).is_mount()


def test_packages_are_held_to_the_ranges_of_our_own_metadata() -> None:
    assert machine.version_conflicts(["pytest>=1", "pytest<1; extra == 'dev'"]) == []
    (old, gone) = machine.version_conflicts(["pytest<1", "no-such-package>=2"])
    assert old.startswith("pytest is ") and old.endswith("<1 is needed")
    assert gone == "no-such-package is not installed, >=2 is needed"
