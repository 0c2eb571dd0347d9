"""The flows, on a real Prefect server: they do what the command line does, and show it."""

from __future__ import annotations

import asyncio
import inspect
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from conftest import ROOT, certain, concrete

from vidpipe.errors import ConfigurationError
from vidpipe.records.windows import SHOTS
from vidpipe.steps.ingest import ingest
from vidpipe.steps.night_events import DRIFT


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One embedded server for all tests here, with storage of its own."""
    folder = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PREFECT_HOME", str(folder))
        environment.setenv("PREFECT_LOCAL_STORAGE_PATH", str(folder / "storage"))
        environment.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
        from prefect.testing.utilities import prefect_test_harness

        from flows import shared  # noqa: F401  (sets what Prefect reads on import)

        with (
            prefect_test_harness(server_startup_timeout=180),
            temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
        ):
            yield


@pytest.fixture(scope="module")
def played(prefect_server: None, tmp_path_factory: pytest.TempPathFactory, clips: Any) -> dict[str, Any]:
    """The whole job through the flows, in one home."""
    from flows.classify import classify_flow
    from flows.extract import extract_flow
    from flows.ingest import ingest_flow
    from flows.nightly import nightly_flow
    from flows.promote import promote_flow
    from flows.train import train_flow

    home = str(tmp_path_factory.mktemp("flows") / "home")
    told: dict[str, Any] = {"home": home}
    told["ingest"] = ingest_flow("demo", str(clips.labelled), str(clips.manifest), home=home)
    told["empty night"] = nightly_flow(home=home, return_state=True)
    told["extract"] = extract_flow(home=home)
    told["train"] = train_flow("demo", "split", epochs=15, home=home)
    told["promote"] = promote_flow(home=home)
    told["incoming"] = ingest_flow("incoming", str(clips.incoming), home=home)
    told["night"] = nightly_flow(home=home, return_state=True)
    told["classify"] = classify_flow(home=home)
    return told


def test_the_flows_do_the_whole_job(played: dict[str, Any]) -> None:
    assert played["ingest"]["new"] == 24
    assert played["train"]["version"] == 1
    assert played["promote"]["decision"] == "promoted"
    assert played["classify"]["classified"] == 0  # the night had done it


def test_a_night_without_a_champion_completes_and_says_so(played: dict[str, Any]) -> None:
    state = played["empty night"]
    assert state.is_completed() and state.message == "no_champion"


def test_a_night_classifies_what_is_new(played: dict[str, Any]) -> None:
    state = played["night"]
    assert state.is_completed() and state.message == "ok"
    assert state.result()["extracted"] == 12
    assert state.result()["classified"] == 36


def test_flow_and_command_line_leave_the_same_rows(
    played: dict[str, Any], tmp_path: Path, clips: Any, make_ports: Any
) -> None:
    from vidpipe.steps.extract import extract
    from vidpipe.steps.ingest import ingest

    ports = make_ports(tmp_path / "cli")
    ingest(ports, "demo", clips.labelled, manifest=clips.manifest)
    ingest(ports, "incoming", clips.incoming)
    extract(ports)
    mine = ports.ledger.table("overview_collections")
    theirs = make_ports(Path(played["home"])).ledger.table("overview_collections")
    facts = ("collection", "present", "with_features", "failing", "labelled")
    assert [[row[f] for f in facts] for row in mine] == [[row[f] for f in facts] for row in theirs]


def latest(key: str) -> Any:
    """The newest artifact of this name."""
    from prefect.artifacts import Artifact

    return Artifact.get(key)


def test_each_stage_ends_with_a_progress_artifact_at_100(played: dict[str, Any]) -> None:
    for stage in ("extract", "classify-with-version-1"):
        artifact = latest(f"vidpipe-progress-{stage}")
        assert artifact is not None and (artifact.type, artifact.data) == ("progress", 100.0), stage


def test_each_result_is_a_table_artifact(played: dict[str, Any]) -> None:
    for kind in ("ingest", "extract", "train", "promote", "classify", "nightly"):
        artifact = latest(f"vidpipe-{kind}")
        assert artifact is not None and artifact.type == "table", kind


def test_a_night_links_to_its_page(played: dict[str, Any]) -> None:
    page = Path(played["night"].result()["report"])
    artifact = latest("vidpipe-report")
    assert artifact is not None and artifact.type == "markdown"
    assert artifact.data == f"[{page}]({page.as_uri()})" and page.is_file()


def test_a_decision_is_shown_with_its_numbers(played: dict[str, Any], tmp_path: Path) -> None:
    from flows.promote import freeze_eval_flow, promote_flow, rollback_flow
    from flows.train import train_flow

    home = str(tmp_path / "home")
    shutil.copytree(played["home"], home, ignore=shutil.ignore_patterns("artifacts"))
    frozen = freeze_eval_flow("demo", split_column="split", home=home)
    assert frozen["videos"] == 8
    train_flow("demo", "split", epochs=1, home=home)
    refused = promote_flow(home=home)
    assert refused["decision"] == "refused"
    artifact = latest("vidpipe-decision")
    assert artifact is not None and artifact.type == "markdown"
    for said in (
        "video-classifier version 2: refused", refused["reasons"][0], frozen["eval_set_hash"],
        "| accuracy |", "McNemar",
    ):  # fmt: skip
        assert said in str(artifact.data)
    forced = promote_flow(force=True, reason="a test", home=home)
    assert (forced["decision"], forced["version"]) == ("forced", 2)
    assert rollback_flow(home=home)["version"] == 1


def test_a_night_over_its_budget_is_a_failed_run(
    prefect_server: None, tmp_path: Path, make_ports: Any, clips: Any
) -> None:
    from flows.nightly import nightly_flow
    from vidpipe.steps.ingest import ingest

    source = tmp_path / "source"
    source.mkdir()
    good = sorted(clips.incoming.glob("*.mp4"))[0]
    (source / "good.mp4").write_bytes(good.read_bytes())
    ports = make_ports(tmp_path / "home")
    ingest(ports, "mixed", source)
    (source / "bad.mp4").write_text("not a video")
    state = nightly_flow("0", str(tmp_path / "home"), return_state=True)
    assert state.is_failed() and certain(state.message).startswith("over_budget: 1 failed")
    assert (tmp_path / "home" / "warehouse.duckdb").exists()


def test_windows_are_a_parameter_of_the_ingest_and_are_remembered(
    prefect_server: None, tmp_path: Path, make_ports: Any, clips: Any
) -> None:
    from flows.ingest import ingest_flow
    from vidpipe.records.windows import Windows

    home = str(tmp_path / "home")
    wanted: list[tuple[dict[str, Any], Windows | None]] = [
        ({"window_s": 2.0}, Windows(2, 1)), ({"stride_s": 0.5}, Windows(2, 0.5)), ({}, Windows(2, 0.5)),
        ({"window_s": 0.0}, None),
    ]  # fmt: skip
    for asked, kept in wanted:
        ingest_flow("long", str(clips.incoming), **asked, home=home)
        assert make_ports(tmp_path / "home").ledger.sources.collection("long").windows == kept


def test_every_option_of_an_ingest_is_a_parameter_and_is_remembered(
    prefect_server: None, tmp_path: Path, make_ports: Any, clips: Any
) -> None:
    """The command and the flow, with the same options and then none, keep the same collection."""
    from flows.ingest import ingest_flow

    manifest = tmp_path / "some.csv"
    path = sorted(p.name for p in clips.incoming.iterdir() if p.suffix == ".mp4")[0]
    manifest.write_text(f"path,label,warm\n{path},crowd|rain,2.5\n", encoding="utf-8")
    asked: dict[str, Any] = {
        "manifest": str(manifest), "windows": "shots", "include": ["*.mp4"], "exclude": ["thumbs"],
        "attribute": ["warm:double"], "time_from_name": "cam_%Y%m%d", "time_zone": "+02:00",
        "multi_label": True,
    }  # fmt: skip
    by_flow, by_verb = tmp_path / "flow", tmp_path / "verb"
    ingest_flow("long", str(clips.incoming), **asked, home=str(by_flow))
    step = {("attributes" if name == "attribute" else name): value for name, value in asked.items()}
    ingest(make_ports(by_verb), "long", str(clips.incoming), **step)
    kept = make_ports(by_flow).ledger.sources.collection("long")
    assert kept == make_ports(by_verb).ledger.sources.collection("long")
    assert kept.windows == SHOTS and kept.multi_label
    ingest_flow("long", str(clips.incoming), str(manifest), home=str(by_flow))
    assert make_ports(by_flow).ledger.sources.collection("long") == kept

    with pytest.raises(ConfigurationError, match="names no video"):
        ingest_flow("long", str(clips.incoming), str(manifest), include=["*.avi"], home=str(by_flow))


COMMAND_ALONE = {"as_json", "wait"}
VERBS: dict[str, tuple[str, set[str], set[str]]] = {
    "ingest": ("ingest", set(), set()),
    "extract": ("extract", set(), set()),
    "nightly": ("nightly", set(), set()),
    "classify": ("classify", {"backfill", "budget_s"}, set()),
    "backfill": ("classify", {"backfill", "model"}, set()),
    "freeze-eval": ("freeze-eval", set(), set()),
    "promote": ("promote", set(), {"approval"}),
    "rollback": ("rollback", set(), set()),
    # what an engineer tries out at the command line; a schedule trains by default
    "train": (
        "train", {"hidden_size", "layers", "head", "plain", "warm_start", "parts", "copies"}, set(),
    ),
}  # fmt: skip
"""Deployment to its verb, the verb's options that it has not, and its parameters that the verb has not."""


def test_a_flow_has_the_options_of_its_verb_and_their_defaults() -> None:
    import typer
    from prefect.flows import load_flow_from_entrypoint

    from vidpipe.cli.main import app

    commands = vars(typer.main.get_command(app))["commands"]
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    assert {d["name"] for d in deployments} - VERBS.keys() == {"retrain"}, (
        "of no verb, but of train's options"
    )
    for deployment in deployments:
        verb, without, besides = VERBS.get(deployment["name"], ("train", VERBS["train"][1], {"judge"}))
        flow: Any = load_flow_from_entrypoint(str(ROOT / deployment["entrypoint"]))
        taken = {name: p.default for name, p in inspect.signature(flow.fn).parameters.items()}
        options = {p.name: p.default for p in commands[verb].params}
        assert taken.keys() - besides == options.keys() - without - COMMAND_ALONE, deployment["name"]
        assert without <= options.keys() and besides <= taken.keys(), "the lists are of today"
        for name in taken.keys() - besides:
            required = taken[name] is inspect.Parameter.empty
            assert required or (taken[name] or None) == (options[name] or None), (deployment["name"], name)


def test_only_transient_errors_are_retried() -> None:
    from prefect.states import Failed

    from flows.shared import is_transient
    from vidpipe.errors import LedgerLocked, NotFound

    assert is_transient(None, None, Failed(data=LedgerLocked("busy")))  # type: ignore[arg-type]
    assert not is_transient(None, None, Failed(data=NotFound("gone")))  # type: ignore[arg-type]
    assert not is_transient(None, None, Failed(data=ValueError("a bug")))  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_a_shard_is_tried_four_times_and_the_part_of_the_night_around_it_once(
    engine: str, prefect_server: None, tmp_path: Path, make_ports: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect import flow

    from flows import executor, nightly
    from vidpipe.errors import StorageUnreachable

    at_once = {"retry_delay_seconds": 0}
    for module, name in ((executor, "compute_here"), (executor, "compute_there"), (nightly, "night_part")):
        monkeypatch.setattr(module, name, getattr(module, name).with_options(**at_once))
    home, tries = tmp_path / "home", tmp_path / "tries"
    home.mkdir()
    (home / "vidpipe.toml").write_text(f'task_runner = "{engine}"\n')

    def part() -> None:
        ports = executor.ports_of(str(home))
        shards = [Unlucky(str(tries / "shard"))]
        tried(tries / "part")
        list(ports.executor.compute(ports, away, shards))

    @flow
    def night() -> None:
        nightly.as_task("part", part)

    tries.mkdir()
    with pytest.raises(StorageUnreachable, match="gone"):
        night()
    assert count_of(tries / "shard") == 4 and count_of(tries / "part") == 1


@dataclass(frozen=True)
class Unlucky:
    """A shard that no try can compute."""

    tries: str
    cost: float = 1.0


def away(_ports: Any, shard: Unlucky) -> None:
    from vidpipe.errors import StorageUnreachable

    tried(Path(shard.tries))
    raise StorageUnreachable("gone.")


def tried(file: Path) -> None:
    with file.open("a") as stream:
        stream.write(".")


def count_of(file: Path) -> int:
    return len(file.read_text())


def test_every_deployment_names_a_real_flow_and_every_schedule_is_utc() -> None:
    import importlib

    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    assert {d["name"] for d in deployments} == {
        "nightly", "retrain", "backfill", "ingest", "extract", "train", "freeze-eval", "promote", "rollback",
        "classify",
    }  # fmt: skip
    for deployment in deployments:
        file, name = deployment["entrypoint"].split(":")
        module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
        assert callable(getattr(module, name)), deployment["entrypoint"]
        assert all(s["timezone"] == "UTC" for s in deployment.get("schedules", []))
        if "schedules" in deployment:
            assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}


@pytest.mark.parametrize("day", [datetime(2027, 3, 28), datetime(2027, 10, 31)], ids=["spring", "autumn"])
def test_a_night_comes_once_at_its_hour_when_clocks_change(day: datetime) -> None:
    """Berlin's clocks change at 01:00 UTC; what a local cron does: findings/prefect-cron-spring-hour.sh."""
    from prefect.server.schemas.schedules import CronSchedule

    from flows.serve import parse_cron

    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    nights = next(d for d in deployments if d["name"] == "nightly")["schedules"][0]
    for line in (nights["cron"], "30 1 * * *", "0 1 * * *"):
        schedule = CronSchedule(**parse_cron(line).model_dump())
        minute, hour = map(int, line.split()[:2])
        start = day.replace(tzinfo=UTC) - timedelta(days=1)
        due = asyncio.run(schedule.get_dates(n=3, start=start))
        assert due == [start + timedelta(days=n, hours=hour, minutes=minute) for n in range(3)]


def test_the_servers_scheduler_can_insert_the_runs_of_a_schedule(prefect_server: None) -> None:
    from prefect.client.orchestration import get_client
    from prefect.deployments.runner import RunnerDeployment

    from flows.nightly import nightly_flow

    nights = concrete(
        concrete(nightly_flow.to_deployment("nightly", cron="0 2 * * *"), RunnerDeployment).apply(), UUID
    )
    with get_client(sync_client=True) as client:
        answer = client._client.post(f"/deployments/{nights}/schedule", json={"min_runs": 3})
        assert answer.is_success, answer.text
        assert len(client.read_flow_runs()) >= 3
        client.delete_deployment(nights)


def test_every_parameter_of_a_deployment_has_a_type_and_a_description() -> None:
    from prefect.flows import Flow, load_flow_from_entrypoint
    from prefect.utilities.callables import parameter_schema

    for deployment in yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]:
        flow: Flow[..., Any] = load_flow_from_entrypoint(str(ROOT / deployment["entrypoint"]))
        schema = parameter_schema(flow)
        assert set(deployment.get("parameters", {})) <= set(schema.properties)
        for name, said in schema.properties.items():
            assert said.get("description"), (deployment["name"], name)
            assert said.get("type") or said.get("anyOf"), (deployment["name"], name)


def test_a_late_night_is_skipped_when_another_did_its_work(
    played: dict[str, Any], monkeypatch: pytest.MonkeyPatch, make_ports: Any
) -> None:
    from flows import nightly

    ledger = make_ports(Path(played["home"])).ledger
    before = [run["run_id"] for run in ledger.table("overview_runs")]
    monkeypatch.setattr(nightly, "due_at", lambda: datetime(2020, 1, 1))
    state = nightly.nightly_flow(home=played["home"], return_state=True)
    assert (state.is_completed(), state.name) == (True, "Skipped")
    assert "did the work since this night was due" in certain(state.message)
    assert [run["run_id"] for run in ledger.table("overview_runs")] == before
    monkeypatch.setattr(nightly, "due_at", lambda: datetime(2100, 1, 1))
    state = nightly.nightly_flow(home=played["home"], return_state=True)
    assert (state.is_completed(), state.name, state.message) == (True, "Completed", "ok")


def test_a_retraining_takes_the_champions_collection_and_leaves_a_challenger(
    played: dict[str, Any], tmp_path: Path, make_ports: Any
) -> None:
    from flows.retrain import retrain_flow

    home = tmp_path / "home"
    shutil.copytree(played["home"], home, ignore=shutil.ignore_patterns("artifacts"))
    told = retrain_flow(epochs=1, seed=3, home=str(home))
    registry = make_ports(home).registry
    made = registry.version("challenger")
    assert (made.version, made.collection, made.split_column) == (told["version"], "demo", "split")
    assert told["decision"] is None and registry.aliases()["champion"] == 1
    again = retrain_flow(epochs=1, seed=3, judge=True, home=str(home))
    assert (again["version"], again["existing"], again["decision"]) == (made.version, True, "refused")


def told(name: str, *, least: int = 1) -> list[Any]:
    """Events of this name that the server keeps, waited for."""
    from prefect.client.orchestration import get_client

    asked = {"filter": {"event": {"name": [f"vidpipe.{name}"]}}}
    with get_client(sync_client=True) as client:
        for _ in range(100):
            found: list[Any] = client._client.post("/events/filter", json=asked).json()["events"]
            if len(found) >= least:
                return found
            time.sleep(0.1)
    raise AssertionError(f"no event {name}")


def test_a_promotion_is_an_event_that_automations_can_act_on(played: dict[str, Any]) -> None:
    event = told("promoted")[-1]  # the newest first
    assert event["resource"]["prefect.resource.id"] == "vidpipe.model.video-classifier"
    assert event["payload"] == {"version": 1, "decision": "promoted", "reasons": []}
    assert any("flow-run" in r["prefect.resource.id"] for r in event["related"])


def test_an_event_that_cannot_be_told_costs_no_night(
    played: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import nightly, shared

    def broken(*_: Any, **__: Any) -> None:
        raise OSError("no way")

    monkeypatch.setattr(shared, "emit_event", broken)
    monkeypatch.setattr(nightly, "night_events", broken)
    assert nightly.nightly_flow(home=played["home"], return_state=True).is_completed()


def test_the_triggers_wait_for_events_that_there_are() -> None:
    from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger

    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    expected = {
        d["name"]: DeploymentEventTrigger(**t).expect for d in deployments for t in d.get("triggers", [])
    }
    assert expected == {"retrain": {f"vidpipe.{DRIFT}"}}


def test_what_passes_the_gate_waits_for_a_person_and_the_answer_is_on_record(
    played: dict[str, Any], tmp_path: Path, make_ports: Any
) -> None:
    """As a worker does it: the run ends when it is suspended, and begins anew when somebody answered."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import Pause
    from prefect.flow_engine import run_flow
    from prefect.flow_runs import resume_flow_run

    from flows.promote import promote_flow

    home = tmp_path / "home"
    shutil.copytree(played["home"], home, ignore=shutil.ignore_patterns("artifacts"))
    client_of = make_ports(home).registry.store.client
    client_of.delete_registered_model_alias("video-classifier", "champion")
    asked = {"version": "1", "approval": True, "home": str(home)}
    deployed = concrete(promote_flow.to_deployment("promote").apply(), UUID)  # type: ignore[union-attr]

    def decide(answer: dict[str, Any]) -> Any:
        with get_client(sync_client=True) as client:
            run = client.create_flow_run_from_deployment(deployed, parameters=asked)
            with pytest.raises(Pause):
                run_flow(promote_flow, flow_run=run, parameters=asked)
            assert certain(client.read_flow_run(run.id).state).is_paused()
            assert "is it to serve?" in str(latest("vidpipe-decision").data)
            resume_flow_run(run.id, run_input=answer)
            return run_flow(promote_flow, flow_run=client.read_flow_run(run.id), parameters=asked)

    refused = decide({"approve": False, "reason": "the gate camera is missing"})
    assert refused["decision"] == "refused"
    assert list(refused["reasons"]) == ["not approved: the gate camera is missing"]
    promoted = decide({"approve": True, "reason": "looked at fifty"})
    assert (promoted["decision"], promoted["version"]) == ("promoted", 1)
    history = make_ports(home).ledger.table("overview_promotions")
    assert "approved: looked at fifty" in {row["reason"] for row in history}


def test_approval_needs_a_run_that_can_go_on_later(played: dict[str, Any]) -> None:
    from flows.promote import promote_flow

    with pytest.raises(ConfigurationError, match="approval needs a run of the deployment"):
        promote_flow(approval=True, home=played["home"])
