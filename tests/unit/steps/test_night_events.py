"""Events of a night: what somebody, or another flow, may want to act on, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stored import content_id, put_collection

from vidpipe.ports import Ports
from vidpipe.records.drift import DriftFound
from vidpipe.records.events import Event
from vidpipe.records.models import VersionId
from vidpipe.records.predictions import Prediction
from vidpipe.steps.night_events import SURE, fallen, night_events
from vidpipe.steps.nightly import NightlyResult

DRIFTED = DriftFound("yard", 1, 30, 2.0, 1e-9, 0.5, 40.0, alarmed=True, statistic=40.0, nights=3)
QUIET = DriftFound("gate", 1, 30, 0.1, 0.5, 0.5, 1.0, alarmed=False, statistic=1.0, nights=3)


def night(run_id: int, status: str = "ok", **facts: Any) -> NightlyResult:
    return NightlyResult(run_id, status, 0, 0, 0, 0, 0, facts.pop("failed", 0), 0, 1.0, [], **facts)


def shadowed(ports: Ports, compared: int, agreeing: int, challenger: str = "b") -> int:
    """A night in which the challenger scored videos, too."""
    run_id = ports.ledger.runs.start("nightly")
    shadow = {
        "version": 2, "champion": 1, "videos": compared, "compared": compared, "agreeing": agreeing,
        "digest": challenger, "champion_digest": "a",
    }  # fmt: skip
    ports.ledger.runs.finish(
        run_id, status="ok", videos=0, frames=0, failed=0, seconds=1.0, detail={"shadow": shadow}
    )
    ports.warehouse.publish()
    return run_id


def test_a_quiet_night_is_no_event(ports: Ports) -> None:
    run_id = shadowed(ports, 100, 90)
    assert night_events(ports.warehouse, night(run_id, drift=[QUIET])) == []


def test_drift_and_an_exceeded_budget_are_told(ports: Ports) -> None:
    run_id = shadowed(ports, 100, 90)
    over, drift = night_events(
        ports.warehouse, night(run_id, "over_budget", failed=9, drift=[QUIET, DRIFTED])
    )
    assert over == Event("budget-exceeded", "night", {"run_id": run_id, "failed": 9, "problems": []})
    assert (drift.name, drift.about) == ("drift", "collection.yard")
    assert (drift.facts["kind"], drift.facts["videos"], drift.facts["e_value"]) == ("features", 30, 40.0)


def test_champion_and_challenger_that_agree_less_than_before_are_a_drift(ports: Ports) -> None:
    for _ in range(3):
        shadowed(ports, 100, 95)
    shadowed(ports, 100, 10, challenger="another")
    few, usual = shadowed(ports, 19, 0), shadowed(ports, 100, 80)
    assert night_events(ports.warehouse, night(few)) == [], "too few to say"
    fell = shadowed(ports, 100, 60)
    (found,) = night_events(ports.warehouse, night(fell))
    assert (found.name, found.about, found.facts["kind"]) == ("drift", "agreement", "agreement")
    assert found.facts["agreement"] == 0.6
    assert found.facts["agreement_before"] == (3 * 95 + 0 + 80) / (300 + 19 + 100)
    assert (found.facts["version"], found.facts["challenger"]) == (1, 2)
    assert night_events(ports.warehouse, night(usual)) == [], "by chance"


def test_chance_makes_no_event_of_agreement() -> None:
    rng = np.random.default_rng(0)
    fell = [fallen(int(a), 40, int(b), 2000) for a, b in rng.binomial([40, 2000], 0.9, (20_000, 2))]
    assert np.mean(np.array(fell) > SURE) < 3e-3, "at one night of 300 at the most"
    assert fallen(0, 40, 0, 40) == fallen(40, 40, 40, 40) == 0.0


@pytest.mark.parametrize("label", [None, "cat"])
def test_videos_unlike_the_training_want_a_label_unless_they_have_one(
    ports: Ports, label: str | None
) -> None:
    spec, names = ports.limits.spec, ["new.mp4", "known.mp4"]
    features = {name: np.zeros((1, spec.feature_size), np.float32) for name in names}
    put_collection(ports, "yard", features, {"new.mp4": label} if label else None)
    run_id = ports.ledger.runs.start("nightly")
    version = VersionId("m", 1, "d")
    given = [Prediction(content_id(name), 1, "dog", 0.5) for name in names]
    ports.ledger.predictions.put_predictions(run_id, version, spec.feature_set_id, given)
    ports.ledger.novelty.put(version, {content_id("new.mp4"): 1.5, content_id("known.mp4"): 0.5})
    ports.ledger.predictions.switch_serving(1)
    ports.warehouse.publish()
    found = night_events(ports.warehouse, night(run_id))
    if label:
        assert found == []
        return
    facts = {"run_id": run_id, "collection": "yard", "videos": 1}
    assert found == [
        Event(
            "new-label-wanted", "collection.yard", facts | {"next": "vidpipe label-queue --collection yard"}
        )
    ]
