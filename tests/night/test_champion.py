"""Who is champion, when the registry loses the version: before a decision, and between intent and alias."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import concrete, warehouse_rows
from test_readers import smallest_manifest

from vidpipe.adapters.models.registry import Registry
from vidpipe.errors import NotFound, VidpipeError
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.records.predictions import Promotion
from vidpipe.steps.champion_alias import record, settle
from vidpipe.steps.classify import classify
from vidpipe.steps.evaluation_log import log_decision
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
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
def crowned(tmp_path_factory: pytest.TempPathFactory, clips: Any, make_ports: Any) -> Path:
    """A home whose versions 1, 2 and 3 were champion in turn, and whose version 4 is the challenger."""
    folder = tmp_path_factory.mktemp("crowned")
    ports = make_ports(folder / "home")
    ingest(ports, "clips", clips.labelled, manifest=smallest_manifest(clips, folder / "six.csv"))
    extract(ports)
    for seed in range(4):
        train(ports, "clips", split_column="split", config=TrainingConfig(seed=seed, epochs=1))
        if seed < CHAMPION:
            promote(ports, force=True, reason="a test")
    classify(ports)
    return folder / "home"


@pytest.fixture
def ports(crowned: Path, tmp_path: Path, make_ports: Callable[[Path], Ports]) -> Ports:
    home = shutil.copytree(crowned, tmp_path / "home", ignore=shutil.ignore_patterns("artifacts"))
    return make_ports(home)


def delete(ports: Ports, version: int) -> None:
    concrete(ports.registry, Registry).store.client.delete_model_version(ports.registry.model, str(version))


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
    log_decision(shared, "forced", 4, promotion_id=number, reason="why", evidence={})
    assert settle(ports).version == 4
    decision, version, reason = decided(ports)
    assert (decision, version) == ("external", 4)
    assert re.fullmatch(r"alias moved by another home: forced by ann at 20\d\d-[-:+T\d]+", reason)
    assert warehouse_rows(ports, "select actor from promotions order by promotion_id desc limit 1") == [
        ("ann",)
    ]

    ports.registry.set_alias("champion", 2)
    assert settle(ports).version == 2
    assert decided(ports) == ("external", 2, "alias moved outside vidpipe"), (
        "the tags are of our own decision"
    )


@pytest.mark.parametrize("tag", ["decision", "decided_by", "decided_at", "promotion_id"])
def test_tags_of_a_decision_that_somebody_deleted_in_part_are_no_decision(ports: Ports, tag: str) -> None:
    log_decision(ports, "forced", 4, promotion_id=99, reason="why", evidence={})
    client = concrete(ports.registry, Registry).store.client
    client.delete_model_version_tag(ports.registry.model, "4", f"vidpipe.{tag}")
    ports.registry.set_alias("champion", 4)
    assert settle(ports).version == 4
    assert decided(ports) == ("external", 4, "alias moved outside vidpipe")
