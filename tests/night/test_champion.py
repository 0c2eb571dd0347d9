"""Who is champion, when the registry loses the version: before a decision, and between intent and alias."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conftest import certain, concrete, warehouse_rows

from vidpipe.adapters.models.registry import Registry
from vidpipe.errors import NotFound, VidpipeError
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.records.predictions import Intent, Promotion
from vidpipe.steps.champion_alias import record, settle
from vidpipe.steps.classify import classify
from vidpipe.steps.evaluation_log import log_decision
from vidpipe.steps.nightly import nightly
from vidpipe.steps.promote import promote, rollback
from vidpipe.steps.train import train

CHAMPION, TARGETS = 3, {"promoted": 4, "forced": 4, "rolled_back": 2, "rolled_back to": 1}
DECISIONS: dict[str, Callable[[Ports], Any]] = {
    "promoted": lambda ports: promote(ports, "4"),
    "forced": lambda ports: promote(ports, "4", force=True, reason="a test"),
    "rolled_back": rollback,
    "rolled_back to": lambda ports: rollback(ports, 1),
}


@pytest.fixture(scope="module")
def crowned(tmp_path_factory: pytest.TempPathFactory, crowned_home: Any, make_ports: Any) -> Path:
    """A home whose versions 1, 2 and 3 were champion in turn, and whose version 4 is the challenger."""
    home: Path = crowned_home(tmp_path_factory.mktemp("crowned") / "home")
    ports = make_ports(home)
    for seed in range(1, 4):
        train(ports, "clips", split_column="split", config=TrainingConfig(seed=seed, epochs=1))
        if seed < CHAMPION:
            promote(ports, force=True, reason="a test")
    classify(ports)
    return home


@pytest.fixture
def ports(crowned: Path, tmp_path: Path, make_ports: Callable[[Path], Ports]) -> Ports:
    home = shutil.copytree(crowned, tmp_path / "home", ignore=shutil.ignore_patterns("artifacts"))
    return make_ports(home)


def delete(ports: Ports, version: int) -> None:
    concrete(ports.registry, Registry).store.client.delete_model_version(ports.registry.model, str(version))


def tags_of(ports: Ports, version: int) -> dict[str, str]:
    """All tags of a version in MLflow."""
    registry = concrete(ports.registry, Registry)
    return dict(registry.store.client.get_model_version(registry.model, str(version)).tags)


def intend(ports: Ports, decision: str, target: int) -> int:
    """What a process that was killed between intent and alias leaves."""
    return ports.ledger.decisions.put_promotion(
        ports.registry.model, Promotion(0, CHAMPION, target, decision.split(maxsplit=1)[0]), evidence={},
        eval_set_hash=None, reason="why", actor="a test", final=False,
    )  # fmt: skip


def decided(ports: Ports) -> tuple[Any, ...]:
    query = "select decision, to_version, reason from promotions order by promotion_id desc limit 1"
    ports.warehouse.publish()
    return warehouse_rows(ports, query)[0]


@pytest.mark.parametrize("decision", DECISIONS)
def test_a_version_that_was_gone_before_the_decision_leaves_no_intent(ports: Ports, decision: str) -> None:
    before = decided(ports)
    delete(ports, TARGETS[decision])
    with pytest.raises(NotFound) as caught:
        DECISIONS[decision](ports)
    assert str(TARGETS[decision]) in caught.value.message
    assert ports.ledger.decisions.open_promotions(ports.registry.model) == []
    assert decided(ports) == before
    night = nightly(ports)
    assert (night.status, ports.registry.aliases()["champion"]) == ("ok", CHAMPION)


def test_a_rollback_names_the_earlier_champions_that_are_left(ports: Ports) -> None:
    delete(ports, 2)
    with pytest.raises(NotFound, match="earlier champions that it has: 1") as caught:
        rollback(ports)
    assert caught.value.next_step == "vidpipe rollback --to 1"
    assert rollback(ports, 1).version == 1


@pytest.mark.parametrize("decision", DECISIONS)
def test_a_version_that_goes_after_the_intent_closes_it_as_not_carried_out(
    ports: Ports, decision: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = TARGETS[decision]
    number = intend(ports, decision, target)
    delete(ports, target)
    monkeypatch.setattr(logging.getLogger("vidpipe"), "propagate", True)
    night = nightly(ports)
    assert (night.status, night.problems) == ("ok", [])
    assert f"promotion {number} was not carried out" in caplog.text
    assert ports.ledger.decisions.open_promotions(ports.registry.model) == []
    outcome, version, reason = decided(ports)
    assert (outcome, version) == ("not_carried_out", target)
    assert reason.startswith(f"why; {decision.split(maxsplit=1)[0]}, not carried out: ")
    assert ports.registry.aliases()["champion"] == CHAMPION
    assert promote(ports, "3").decision == "unchanged"


@pytest.mark.parametrize("decision", DECISIONS)
def test_a_version_that_goes_between_question_and_alias_closes_the_intent_at_once(
    ports: Ports, decision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidpipe.steps.promote.judge", _nothing_against)
    put = ports.ledger.decisions.put_promotion

    def put_and_delete(*given: Any, **named: Any) -> int:
        number = put(*given, **named)
        delete(ports, TARGETS[decision])
        return number

    with monkeypatch.context() as patched:
        patched.setattr(ports.ledger.decisions, "put_promotion", put_and_delete)
        with pytest.raises(VidpipeError):
            DECISIONS[decision](ports)
    assert decided(ports)[0] == "not_carried_out"
    assert ports.ledger.decisions.open_promotions(ports.registry.model) == []
    assert nightly(ports).status == "ok"


def _nothing_against(given: Any, policy: Any) -> Any:
    """A gate that lets everything pass: what is tested comes after it."""
    from dataclasses import replace

    from vidpipe.evaluation.gate import judge

    return replace(judge(given, policy), reasons=())


@pytest.mark.parametrize("gone", [4])
def test_an_alias_moved_by_hand_to_a_version_that_is_gone_is_on_record(ports: Ports, gone: int) -> None:
    ports.registry.set_alias("champion", gone)
    delete(ports, gone)
    night = nightly(ports)
    assert night.problems == [] and night.status in ("ok", "no_champion")
    assert decided(ports)[:2] == ("external", None)
    assert promote(ports, "2", force=True, reason="a test").decision == "forced"


def test_an_alias_that_another_home_moved_is_shown_with_who_and_when(
    ports: Ports, crowned: Path, tmp_path: Path, make_ports: Callable[[Path], Ports]
) -> None:
    """Both homes have one MLflow; the other one's ledger knows nothing of this one's decisions."""
    theirs = make_ports(tmp_path / "other")
    theirs.ledger.decisions.put_promotion(
        "another", Promotion(0, None, 1, "refused"), evidence={}, eval_set_hash=None, reason=None, actor="a",
        final=True,
    )  # fmt: skip
    shared = replace(theirs, registry=ports.registry, actor="ann")
    number = record(shared, Promotion(0, None, 4, "forced"), evidence={}, eval_set_hash=None, reason="why")
    tags = tags_of(shared, 4)
    assert tags["vidpipe.promotion_id"] == str(number) and settle(ports).version == 4
    decision, version, reason = decided(ports)
    assert (decision, version) == ("external", 4)
    assert re.fullmatch(r"alias moved by another home: forced by ann at 20\d\d-[-:+T\d]+", reason)
    assert warehouse_rows(ports, "select actor from promotions order by promotion_id desc limit 1") == [
        ("ann",)
    ]
    assert tags_of(ports, 4) == tags, "who decided has said so; who only saw it does not"

    ports.registry.set_alias("champion", 2)
    assert settle(ports).version == 2
    assert decided(ports) == ("external", 2, "alias moved outside vidpipe"), (
        "the tags are of our own decision"
    )


@pytest.mark.parametrize("tag", ["decision", "decided_by", "decided_at", "promotion_id"])
def test_tags_of_a_decision_that_somebody_deleted_in_part_are_no_decision(ports: Ports, tag: str) -> None:
    theirs = Intent(Promotion(99, 3, 4, "forced"), {}, "why", "ann", datetime(2026, 1, 2))
    log_decision(ports, theirs)
    client = concrete(ports.registry, Registry).store.client
    client.delete_model_version_tag(ports.registry.model, "4", f"vidpipe.{tag}")
    ports.registry.set_alias("champion", 4)
    assert settle(ports).version == 4
    assert decided(ports) == ("external", 4, "alias moved outside vidpipe")


# -- a process that dies on the way -------------------------------------------------------------

DYING = """
import os, signal, sys
from pathlib import Path
from mlflow import MlflowClient
import mlflow
from vidpipe.adapters.database.decisions import Decisions
from vidpipe.cli.display import TerminalProgress
from vidpipe.settings import load_settings
from vidpipe.steps import promote as verbs
from vidpipe.wiring import open_home, open_ports

home, call, where, when, count = sys.argv[1:]
owner = {"client": MlflowClient, "mlflow": mlflow, "ledger": Decisions}[where.split(".")[0]]
name = where.split(".")[1]
wrapped, left = getattr(owner, name), [int(count)]

def dies(*given, **named):
    left[0] -= 1
    if when == "before" and left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    value = wrapped(*given, **named)
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return value

setattr(owner, name, dies)
ports = open_ports(open_home(load_settings(Path(home))), TerminalProgress())
eval("verbs." + call)
"""
FORCED = "promote(ports, '4', force=True, reason='the night cameras')"
BACK = "rollback(ports, reason='it is slow')"
CRASHES: dict[str, tuple[str, str, str, int]] = {
    "before the alias": (FORCED, "client.set_registered_model_alias", "before", 1),
    "after the alias": (FORCED, "client.set_registered_model_alias", "after", 1),
    "within its MLflow run": (FORCED, "mlflow.log_metrics", "after", 1),
    "after its MLflow run": (FORCED, "client.set_model_version_tag", "before", 1),
    "within the tags": (FORCED, "client.set_model_version_tag", "after", 2),
    "after the tags": (FORCED, "ledger.finish_promotion", "before", 1),
    "of a rollback, after the alias": (BACK, "client.set_registered_model_alias", "after", 1),
    "of a rollback, within the tags": (BACK, "client.set_model_version_tag", "after", 5),
    "of a refusal, before the tags": ("promote(ports, '4')", "client.set_model_version_tag", "before", 1),
}
OF_THE_DECISION = ("validation_status", "vidpipe.decision", "vidpipe.decided_by", "vidpipe.reason")


def die(python: list[str], home: Path, call: str, where: str, when: str, count: int) -> None:
    """Play a decision by Ann in a process of its own that SIGKILL ends."""
    command = [*python, "-c", DYING, str(home), call, where, when, str(count)]
    ended = subprocess.run(
        command, env=os.environ | {"LOGNAME": "ann"}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def runs_of(ports: Ports, promotion_id: int) -> list[Any]:
    registry = concrete(ports.registry, Registry)
    experiment = certain(registry.store.client.get_experiment_by_name("vidpipe"))
    ours = f"tags.`vidpipe.promotion_id` = '{promotion_id}'"
    return list(registry.store.client.search_runs([experiment.experiment_id], ours))


@pytest.fixture(scope="module")
def straight_path(
    crowned: Path, tmp_path_factory: pytest.TempPathFactory, make_ports: Callable[[Path], Ports]
) -> Callable[[str], Ports]:
    """The same home after a call that nothing interrupted."""

    @cache
    def after(call: str) -> Ports:
        home = tmp_path_factory.mktemp("straight") / "home"
        shutil.copytree(crowned, home, ignore=shutil.ignore_patterns("artifacts"))
        ports = replace(make_ports(home), actor="ann")
        eval(call, {"ports": ports, "promote": promote, "rollback": rollback})
        return ports

    return after


@pytest.mark.parametrize("crash", CRASHES)
def test_a_decision_whose_process_died_leaves_what_the_straight_path_leaves(
    crash: str, ports: Ports, straight_path: Callable[[str], Ports], tmp_path: Path, forked_python: list[str]
) -> None:
    call, where, when, count = CRASHES[crash]
    target = TARGETS["rolled_back"] if call == BACK else 4
    straight = straight_path(call)
    wanted = tags_of(straight, target)

    die(forked_python, tmp_path / "home", call, where, when, count)
    assert len(ports.ledger.decisions.open_promotions(ports.registry.model)) == 1
    settle(ports)
    ports.warehouse.publish()

    found = tags_of(ports, target)
    assert found.keys() == wanted.keys()
    assert {key: found[key] for key in OF_THE_DECISION} == {key: wanted[key] for key in OF_THE_DECISION}
    ((number, actor, decided_at),) = warehouse_rows(
        ports, "select promotion_id, actor, decided_at from promotions order by promotion_id desc limit 1"
    )
    at = decided_at.replace(tzinfo=UTC).isoformat(timespec="seconds")
    assert (found["vidpipe.promotion_id"], found["vidpipe.decided_at"]) == (str(number), at)
    assert (found["vidpipe.decided_by"], actor) == ("ann", "ann")
    assert ports.ledger.decisions.open_promotions(ports.registry.model) == []
    assert ports.registry.aliases() == straight.registry.aliases()
    (run,) = runs_of(ports, number)
    assert (
        run.info.status == "FINISHED" and run.info.run_name == f"{found['vidpipe.decision']} version {target}"
    )
    (theirs,) = runs_of(straight, number)
    assert run.data.metrics == theirs.data.metrics
    assert len(run.inputs.dataset_inputs) == len(theirs.inputs.dataset_inputs)
    settle(ports)
    assert tags_of(ports, target) == found and len(runs_of(ports, number)) == 1


def test_an_alias_moved_by_hand_is_told_to_mlflow_too(ports: Ports) -> None:
    before = tags_of(ports, 2)
    ports.registry.set_alias("champion", 2)
    assert nightly(ports).status == "ok"
    found = tags_of(ports, 2)
    assert (found["vidpipe.decision"], found["vidpipe.decided_by"]) == ("external", "external")
    assert found["vidpipe.reason"] == "alias moved outside vidpipe"
    assert found["validation_status"] == before["validation_status"] == "forced", "the gate's word stands"
    ((number, decision),) = warehouse_rows(
        ports, "select promotion_id, decision from promotions order by promotion_id desc limit 1"
    )
    assert (found["vidpipe.promotion_id"], decision) == (str(number), "external")
    (run,) = runs_of(ports, number)
    assert run.info.run_name == "external version 2"


def test_an_alias_that_was_deleted_by_hand_is_on_record(ports: Ports) -> None:
    ports.registry.drop_alias("champion")
    assert settle(ports).version is None
    assert decided(ports) == ("external", None, "alias moved outside vidpipe")
    assert ports.ledger.decisions.open_promotions(ports.registry.model) == []


def test_two_homes_that_see_one_hand_agree_that_it_was_no_home(
    ports: Ports, tmp_path: Path, make_ports: Callable[[Path], Ports]
) -> None:
    other = make_ports(tmp_path / "other")
    other.ledger.decisions.put_promotion(
        "another", Promotion(0, None, 1, "refused"), evidence={}, eval_set_hash=None, reason=None, actor="a",
        final=True,
    )  # fmt: skip
    theirs = replace(other, registry=ports.registry)
    ports.registry.set_alias("champion", 2)
    assert settle(ports).version == settle(theirs).version == 2
    assert decided(theirs) == decided(ports) == ("external", 2, "alias moved outside vidpipe")
