"""One installation of real servers through good nights and bad ones: `make test-services`.

The tests tell one story and run in this order. PostgreSQL, MLflow's and Prefect's server and a worker run on
loopback, with the settings of `docker/compose.yaml`; nothing but settings differs from a home on one machine.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest
from conftest import certain
from servers import PATH, ROOT, USER, Fleet, Service, chromium, kill_marked, marked, prefect, until

pytestmark = pytest.mark.services

IMPATIENT = """
import asyncio
from datetime import timedelta
from flows.silence import silence
asyncio.run(silence(timedelta(seconds=40)))
"""
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
AUTOMATIONS = {"vidpipe-alert", "vidpipe-silence", "vidpipe-retrain-on-drift"}


@dataclass
class Installation:
    """The fleet, a home with a champion, and an inbox that fills."""

    fleet: Fleet
    inbox: Path
    waiting: list[Path]
    """Clips that have not arrived yet."""
    videos: int = 0
    """Videos that the home should hold once a night has gone well."""
    numbers: count[int] = field(default_factory=count)

    def arrive(self, clips: int = 2) -> None:
        """New clips lie in the inbox."""
        for _ in range(clips):
            clip = self.waiting.pop()
            shutil.copy(clip, self.inbox / f"{next(self.numbers):03}-{clip.name}")
        self.videos += clips

    # -- Prefect's side

    def deployment(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.fleet.ask("GET", f"/deployments/name/{name}/{name}")
        return found

    def trigger(self, name: str, **parameters: Any) -> str:
        """Ask for a run; its id."""
        found = self.fleet.ask(
            "POST", f"/deployments/{self.deployment(name)['id']}/create_flow_run", parameters=parameters
        )
        return str(found["id"])

    def flow_run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.fleet.ask("GET", f"/flow_runs/{run_id}")
        return found

    def wait_for(self, run_id: str, seconds: float = 150) -> dict[str, Any]:
        """A run that has ended."""
        until(f"run {run_id} ends", lambda: self.flow_run(run_id)["state_type"] in ENDED, seconds)
        return self.flow_run(run_id)

    def runs_of(self, name: str) -> list[dict[str, Any]]:
        """All runs of a deployment, those to come too, in the order in which they are due."""
        chosen = {"id": {"any_": [self.deployment(name)["id"]]}}
        found: list[dict[str, Any]] = self.fleet.ask(
            "POST", "/flow_runs/filter", deployments=chosen, sort="EXPECTED_START_TIME_ASC"
        )
        return found

    def automations(self) -> dict[str, dict[str, Any]]:
        """What is registered, by name."""
        return {a["name"]: a for a in self.fleet.ask("POST", "/automations/filter")}

    def schedule(self, name: str, schedule: dict[str, Any]) -> None:
        """Give a deployment one more schedule."""
        self.fleet.ask(
            "PATCH", f"/deployments/{self.deployment(name)['id']}", schedules=[{"schedule": schedule}]
        )

    def unschedule(self, name: str) -> None:
        """Take all schedules away, and the runs to come with them."""
        deployment = self.deployment(name)
        for schedule in deployment["schedules"]:
            self.fleet.ask("DELETE", f"/deployments/{deployment['id']}/schedules/{schedule['id']}")

    # -- vidpipe's side

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The published warehouse's answer."""
        with duckdb.connect(str(self.fleet.home / "warehouse.duckdb"), read_only=True) as warehouse:
            return warehouse.execute(query).fetchall()

    def nights(self) -> list[str]:
        """How the nights went, in order."""
        return [status for (status,) in self.rows("select status from nights order by run_id")]

    def assert_whole(self) -> None:
        """Every video has features and serves one prediction; nothing twice, nothing lost."""
        expected = [(self.videos, self.videos)]
        for relation in ("videos", "video_features", "latest_predictions"):
            found = self.rows(f"select count(*), count(distinct video_id) from {relation}")
            assert found == expected, relation


@pytest.fixture(scope="module")
def installed(
    labelled_clips: tuple[Path, Path], shared_or_none: Path | None, clips: Any
) -> Iterator[Installation]:
    """Servers, a worker, the deployments of prefect.yaml, and a champion trained from the command line."""
    source, manifest = labelled_clips
    folder = Path(tempfile.mkdtemp(prefix="vidpipe-services-"))
    folder.chmod(0o755)  # PostgreSQL's own user has to reach its part of it
    fleet = Fleet(folder)
    (folder / "inbox").mkdir()
    installed = Installation(fleet, folder / "inbox", _unlabelled(shared_or_none, clips))
    went_well = False
    try:
        fleet.start()
        fleet.vidpipe("ingest", str(source), "--collection", "tags", "--manifest", str(manifest))
        fleet.vidpipe("extract")
        fleet.vidpipe("train", "--collection", "tags", "--split-column", "split", "--epochs", "3")
        fleet.vidpipe("promote", "--force", "--reason", "a first champion for this test")
        with manifest.open(encoding="utf-8", newline="") as stream:
            installed.videos = len(list(csv.DictReader(stream)))
        installed.arrive()
        fleet.vidpipe("ingest", str(installed.inbox), "--collection", "inbox")
        yield installed
        went_well = True
    finally:
        fleet.stop()
        assert marked(fleet.mark) == [], "a process outlived the servers"
        if went_well and not _failed:
            shutil.rmtree(folder, ignore_errors=True)


_failed: list[str] = []
"""Tests that failed: then the logs stay."""


@pytest.fixture(autouse=True)
def _logs_stay_where_a_test_failed(request: pytest.FixtureRequest, installed: Installation) -> Iterator[None]:
    before = request.session.testsfailed
    yield
    if request.session.testsfailed > before:
        _failed.append(request.node.name)


def _unlabelled(shared: Path | None, clips: Any) -> list[Path]:
    """Clips that the champion has not been trained on."""
    if shared is None:
        return sorted(clips.incoming.glob("*.mp4"))
    return sorted((shared / "ucf101").glob("BasketballDunk/*.mp4"))[:24]


# -- a good night -----------------------------------------------------------------------------------


def test_the_champion_lies_on_the_server_and_its_files_went_through_it(
    installed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, installed.fleet.environment[name])
    client = mlflow.MlflowClient(installed.fleet.mlflow_uri, installed.fleet.mlflow_uri)
    champion = client.get_model_version_by_alias("video-classifier", "champion")
    run = client.get_run(certain(champion.run_id))
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
    assert run.data.params["collection"] == "tags" and "test_accuracy" in run.data.metrics
    assert list((installed.fleet.folder / "artifacts").rglob("*.safetensors"))
    copies = {
        f.relative_to(installed.fleet.home).parts[0] for f in installed.fleet.home.rglob("*.safetensors")
    }
    assert copies <= {"models"}, "the home keeps the champion alone, for nights without the server"
    assert not (installed.fleet.home / "mlflow" / "mlflow.db").exists()


def test_mlflow_answers_those_who_call_it_by_its_name_and_no_stranger(installed: Installation) -> None:
    health = f"{installed.fleet.mlflow_uri}/api/2.0/mlflow/registered-models/search"
    for host, status in (("mlflow:5000", 200), ("evil.example", 403)):
        asked = httpx.get(health, headers={"Host": host}, auth=installed.fleet.login)
        assert asked.status_code == status


def test_both_servers_ask_for_the_login_and_take_no_other(installed: Installation) -> None:
    fleet = installed.fleet
    files = f"{fleet.mlflow_uri}/api/2.0/mlflow-artifacts/artifacts"
    behind = f"{fleet.mlflow_uri}/api/2.0/mlflow/registered-models/search"
    for url in (files, behind, f"{fleet.mlflow_uri}/", f"{fleet.api}/admin/version"):
        user, password = fleet.login
        wrong = [None, (user, "wrong-" + password), (user, ""), (user, "password1234"), ("other", password)]
        assert [httpx.get(url, auth=login).status_code for login in wrong] == [401] * 5, url
        assert httpx.get(url, auth=fleet.login).is_success, url
    for url in (f"{fleet.mlflow_uri}/health", f"{fleet.api}/health"):
        assert httpx.get(url).is_success, "what asks for health needs none"


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (("-m", "vidpipe", "promote", "--force", "--reason", "a guess"), "MLFLOW_TRACKING_USERNAME"),
        (("-m", "flows.nightly"), "PREFECT_API_AUTH_STRING"),
        (("-m", "flows.alert", "http://127.0.0.1:9/hook"), "PREFECT_API_AUTH_STRING"),
        (("-c", "import os; os.execvp('sh', ['sh', 'docker/deploy.sh'])"), "PREFECT_API_AUTH_STRING"),
    ],
)
def test_a_wrong_or_missing_login_ends_with_one_message_that_says_what_to_set(
    installed: Installation, command: tuple[str, ...], names: str
) -> None:
    secret = installed.fleet.login_password
    for given, said in (
        ("wrong-" + secret, "refuses the login (HTTP 401)"),
        ("", "asks for a login (HTTP 401)"),
    ):
        env = {"MLFLOW_TRACKING_PASSWORD": given, "PREFECT_API_AUTH_STRING": given and f"admin:{given}"}
        ended = subprocess.run(
            [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
            env={**os.environ, **installed.fleet.environment, "PATH": PATH, **env},
        )  # fmt: skip
        output = ended.stdout + ended.stderr
        assert ended.returncode == 1, output
        assert said in output and f"set {names}" in output.replace("correct", "set"), output
        assert "Traceback" not in output and secret not in output


def test_a_new_password_counts_on_both_servers_once_they_are_started_anew(installed: Installation) -> None:
    fleet = installed.fleet
    other = "another-" + fleet.login_password
    asked = {
        "mlflow": f"{fleet.mlflow_uri}/api/2.0/mlflow/registered-models/search",
        "prefect": f"{fleet.api}/admin/version",
    }
    for name, service in (("mlflow", fleet.mlflow), ("prefect", fleet.prefect)):
        service.stop()
        changed = replace(service, environment={**service.environment, "LOGIN_PASSWORD": other})
        changed.start()
        try:
            assert httpx.get(asked[name], auth=(USER, other)).is_success
            assert httpx.get(asked[name], auth=fleet.login).status_code == 401
            if service is fleet.prefect:  # Prefect's worker ends when it is refused; compose starts it anew
                until("the refused worker ends", fleet.worker.has_ended)
        finally:
            changed.stop()
            service.start()
        assert httpx.get(asked[name], auth=fleet.login).is_success
    fleet.worker.stop()
    fleet.worker.start()


def test_the_champion_and_the_deployments_are_seen_in_a_browser_after_the_login(
    installed: Installation,
) -> None:
    fleet = installed.fleet
    with chromium() as browser:
        stranger = browser.new_page()
        with pytest.raises(Exception, match="ERR_INVALID_AUTH_CREDENTIALS"):  # Playwright's own kind
            stranger.goto(fleet.mlflow_uri)
        credentials = {"username": USER, "password": fleet.login_password}
        page = browser.new_context(http_credentials=credentials).new_page()
        page.goto(f"{fleet.mlflow_uri}/#/models/video-classifier")
        page.get_by_text("@ champion").first.wait_for()
        page.screenshot(path=fleet.folder / "mlflow.png")
        page = browser.new_page()
        page.goto(f"{fleet.api.removesuffix('/api')}/deployments")
        page.locator("input[type=password]").fill(f"{USER}:wrong")
        page.keyboard.press("Enter")
        page.get_by_text("Authentication failed").first.wait_for()
        page.screenshot(path=fleet.folder / "refused.png")
        page.locator("input[type=password]").fill(f"{USER}:{fleet.login_password}")
        page.keyboard.press("Enter")
        page.get_by_text("nightly").first.wait_for()
        page.screenshot(path=fleet.folder / "prefect.png")


def test_the_deployments_are_registered_with_schedules_limits_and_described_parameters(
    installed: Installation,
) -> None:
    nightly, retrain = installed.deployment("nightly"), installed.deployment("retrain")
    for deployment, cron in ((nightly, "0 2 * * *"), (retrain, "0 12 * * 0")):
        assert [s["schedule"] for s in deployment["schedules"]] == [
            {"cron": cron, "timezone": "UTC", "day_or": True}
        ]
        assert deployment["global_concurrency_limit"]["limit"] == 1
        assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
        properties = deployment["parameter_openapi_schema"]["properties"]
        assert all(p["description"] for p in properties.values())
    assert installed.deployment("backfill")["parameters"] == {"budget_s": 3600}
    for name in ("nightly", "retrain"):
        installed.unschedule(name)  # what starts from here on, the tests start


def test_a_night_that_a_person_asks_for(installed: Installation) -> None:
    said = installed.fleet.run(*prefect("deployment", "run", "nightly/nightly", "--watch"))
    assert "Completed" in said
    assert installed.nights() == ["ok"]
    installed.assert_whole()
    (run,) = [r for r in installed.runs_of("nightly") if r["state_type"] == "COMPLETED"]
    assert run["state"]["message"] == "ok"
    tasks = installed.fleet.ask("POST", "/task_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})
    assert {t["name"].split("-")[0] for t in tasks} >= {"ingest", "extract", "classify", "shadow"}
    assert {t["state_name"] for t in tasks} == {"Completed"}
    (artifact,) = installed.fleet.ask(
        "POST", "/artifacts/latest/filter", artifacts={"key": {"any_": ["vidpipe-nightly"]}}
    )
    table = {row["name"]: row["value"] for row in json.loads(artifact["data"])}
    assert (artifact["type"], artifact["flow_run_id"]) == ("table", run["id"])
    assert (table["status"], table["classified"]) == ("ok", str(installed.videos))


def test_a_night_starts_by_itself_when_its_schedule_says_so(installed: Installation) -> None:
    installed.arrive()
    in_six_seconds = datetime.now(UTC) + timedelta(seconds=6)
    installed.schedule("nightly", {"interval": 86400, "anchor_date": in_six_seconds.isoformat()})
    run = certain(
        until("the schedule starts a night", lambda: _scheduled_and_ended(installed, in_six_seconds))
    )
    assert (run["state_name"], run["state"]["message"]) == ("Completed", "ok")
    assert run["auto_scheduled"]
    installed.unschedule("nightly")
    installed.assert_whole()


def _scheduled_and_ended(installed: Installation, after: datetime) -> dict[str, Any] | None:
    for run in installed.runs_of("nightly"):
        due = datetime.fromisoformat(run["expected_start_time"])
        if due >= after - timedelta(seconds=1) and run["state_type"] in ENDED:
            return run
    return None


def test_nights_missed_by_a_worker_that_was_away_are_made_up_for_in_one(installed: Installation) -> None:
    fleet, before = installed.fleet, {r["id"] for r in installed.runs_of("nightly")}
    nights = len(installed.nights())
    fleet.worker.stop()
    installed.arrive()
    first = datetime.now(UTC) + timedelta(seconds=8)
    rule = f"DTSTART:{first:%Y%m%dT%H%M%SZ}\nRRULE:FREQ=SECONDLY;INTERVAL=2;COUNT=4"
    installed.schedule("nightly", {"rrule": rule, "timezone": "UTC"})

    def missed() -> list[dict[str, Any]]:
        due = [r for r in installed.runs_of("nightly") if r["id"] not in before]
        last = first + timedelta(seconds=7)  # else the deployment's own cron may be due, by the time of day
        return [r for r in due if datetime.fromisoformat(r["expected_start_time"]) <= last]

    until("four nights are late", lambda: [r["state_name"] for r in missed()] == ["Late"] * 4)
    fleet.deploy()  # a new release comes out
    assert [r["state_name"] for r in missed()] == ["Late"] * 4, "the late ones stay"
    fleet.worker.start()
    until("all have ended", lambda: all(r["state_type"] in ENDED for r in missed()), 150)
    ended = sorted(r["state_name"] for r in missed())
    assert ended.count("Completed") == 1 and set(ended) <= {"Completed", "Cancelled", "Skipped"}, ended
    assert len(installed.nights()) == nights + 1
    installed.assert_whole()
    for name in ("nightly", "retrain"):
        installed.unschedule(name)


# -- bad nights -------------------------------------------------------------------------------------


def test_mlflow_goes_away_in_the_middle_of_a_night_and_comes_back(installed: Installation) -> None:
    installed.arrive()
    run_id = _night_in_the_middle(installed, away=installed.fleet.mlflow)
    try:
        run = installed.wait_for(run_id)
    finally:
        installed.fleet.mlflow.start()
    assert run["state_type"] == "COMPLETED"
    assert run["state"]["message"].startswith("degraded MLflow at "), "scored with the home's own copy"
    installed.assert_whole()


def test_prefect_goes_away_in_the_middle_of_a_night_and_comes_back(installed: Installation) -> None:
    installed.arrive()
    nights = len(installed.nights())
    run_id = _night_in_the_middle(installed, away=installed.fleet.prefect)
    threading.Event().wait(4)  # the night meets the closed door
    installed.fleet.prefect.start()
    run = installed.wait_for(run_id)
    assert (run["state_type"], run["state"]["message"]) == ("COMPLETED", "ok")
    assert len(installed.nights()) == nights + 1
    installed.assert_whole()


def test_the_night_after_finds_its_slot_free(installed: Installation) -> None:
    installed.arrive()
    run = installed.wait_for(installed.trigger("nightly"))
    assert (run["state_type"], run["state"]["message"]) == ("COMPLETED", "ok")
    installed.assert_whole()


def _night_in_the_middle(installed: Installation, away: Service) -> str:
    """A night whose decoders wait while a server is stopped, and then go on without it; its run's id."""
    installed.fleet.close_gate()
    try:
        run_id = installed.trigger("nightly")
        installed.fleet.wait_at_gate()
        away.stop()
    finally:
        installed.fleet.open_gate()
    return run_id


def test_a_night_cancelled_on_prefects_page_ends_with_its_decoders_and_the_next_one_does_the_work(
    installed: Installation,
) -> None:
    installed.arrive()
    installed.fleet.close_gate()
    try:
        run_id = installed.trigger("nightly")
        installed.fleet.wait_at_gate()
        cancelled = {"type": "CANCELLING", "name": "Cancelling"}
        installed.fleet.ask("POST", f"/flow_runs/{run_id}/set_state", state=cancelled)
        run = installed.wait_for(run_id)
        until("its processes are gone", lambda: not marked(run_id, "PREFECT__FLOW_RUN_ID"))
    finally:
        installed.fleet.open_gate()
    assert run["state_type"] == "CANCELLED"
    run = installed.wait_for(installed.trigger("nightly"))
    assert (run["state_type"], run["state"]["message"]) == ("COMPLETED", "ok")
    assert installed.nights()[-2:] == ["crashed", "ok"]
    installed.assert_whole()


def test_a_night_that_is_killed_with_its_worker_is_called_crashed_and_its_slot_is_free(
    installed: Installation,
) -> None:
    fleet = installed.fleet
    assert installed.automations()["vidpipe-silence"]["trigger"]["within"] == 600
    fleet.run(sys.executable, "-c", IMPATIENT)
    installed.arrive()
    fleet.close_gate()
    try:
        run_id = installed.trigger("nightly")
        fleet.wait_at_gate()
        assert installed.flow_run(run_id)["state_type"] == "RUNNING"
        fleet.worker.stop(signal.SIGKILL)
        kill_marked(run_id, "PREFECT__FLOW_RUN_ID")
    finally:
        fleet.open_gate()
    try:
        run = installed.wait_for(run_id)
    finally:
        fleet.worker.start()
    assert run["state_type"] == "CRASHED" and "no sign of life" in run["state"]["message"]
    run = installed.wait_for(installed.trigger("nightly"))
    assert (run["state_type"], run["state"]["message"]) == ("COMPLETED", "ok")
    assert installed.nights()[-2:] == ["crashed", "ok"]
    installed.assert_whole()
    fleet.deploy()
    assert installed.automations()["vidpipe-silence"]["trigger"]["within"] == 600


def test_a_night_that_fails_calls_the_webhook(installed: Installation) -> None:
    fleet = installed.fleet
    moved = installed.inbox.rename(installed.inbox.with_name("elsewhere"))
    with receiver() as (url, bodies):
        for _ in range(2):  # the second time changes nothing
            fleet.run(sys.executable, "-m", "flows.alert", url)
        assert set(installed.automations()) == AUTOMATIONS
        run = installed.wait_for(installed.trigger("nightly"))
        assert run["state_type"] == "FAILED" and "inbox" in run["state"]["message"]
        said = f"nightly Failed: {run['state']['message']} http"
        text = until("the webhook is called", lambda: next((t for t in texts(bodies) if said in t), ""))
    assert text.startswith(said) and run["id"] in text
    moved.rename(installed.inbox)
    run = installed.wait_for(installed.trigger("nightly"))
    assert (run["state_type"], run["state"]["message"]) == ("COMPLETED", "ok")
    installed.assert_whole()


def texts(bodies: list[bytes]) -> list[str]:
    """What the webhook was told; on a busy machine, also that a run is late."""
    return [json.loads(body)["text"] for body in bodies]


@contextmanager
def receiver() -> Iterator[tuple[str, list[bytes]]]:
    """A web server for one webhook: its address, and the bodies that it was sent."""
    bodies: list[bytes] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook", bodies
        server.shutdown()
