"""Feature drift of nights on stored features: what is compared with what, and what is left of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from conftest import certain, concrete, warehouse_rows
from stored import content_id, put_collection

from vidpipe.adapters.database.ledger import Ledger
from vidpipe.learning.feature_drift import DriftState
from vidpipe.ports import Ports
from vidpipe.records.drift import Arrivals, DriftBefore, DriftFound, DriftVideos
from vidpipe.records.models import ModelVersion
from vidpipe.records.predictions import Promotion
from vidpipe.records.videos import Floats
from vidpipe.steps.feature_drift import LEAST_TONIGHT, NIGHT_VIDEOS, compare, feature_drift
from vidpipe.steps.forget import forget

D = 12
ARRIVED = Arrivals("yard", 20, [], [], datetime(2026, 1, 1))


def some(n: int, seed: int, *, shift: float = 0.0, fps: float = 25.0) -> DriftVideos:
    rng = np.random.default_rng(seed)
    features: Floats = rng.normal(shift, 1, (n, D)).astype(np.float32)
    return DriftVideos(
        [f"{seed}-{k}" for k in range(n)], features, np.array([[fps, 320, 240]] * n, np.float32)
    )


def follow(nights: list[DriftVideos | None], training: DriftVideos) -> Iterator[DriftFound]:
    """What is found of each night, as the ledger would hand it from one to the next."""
    before, past = DriftBefore(), list[tuple[int, DriftVideos]]()
    for run_id, tonight in enumerate(nights, 1):
        known = [v for run, v in past if run > before.alarm_run_id]
        known += [] if before.alarm_run_id else [training]
        found = compare(ARRIVED, 1, before, tonight, known, training, np.random.default_rng(run_id))
        yield found
        alarm = run_id if found.alarmed else before.alarm_run_id
        before = DriftBefore(run_id, found.statistic, found.nights, alarm)
        if tonight:
            past.append((run_id, tonight))


def test_a_change_is_told_within_two_nights_once_and_the_next_one_too() -> None:
    training = some(40, 0)
    quiet = [some(12, seed) for seed in (1, 2)]
    changed = [some(12, seed, shift=2.0) for seed in (4, 5, 6, 7, 8)]
    again = [some(12, seed, shift=2.0, fps=8.0) for seed in (9, 10)]
    found = list(follow([*quiet, *changed, *again], training))
    assert [f.alarmed for f in found] == [False] * 3 + [True] + [False] * 4 + [True]
    assert found[4].p_features is None, "an alarm's nights are no measure; it begins anew"
    assert certain(found[8].p_recording) < 1e-4 < certain(found[8].p_features)
    assert all(certain(f.distance) > 1.5 for f in found[2:]) and certain(found[0].distance) < 0.4


def test_too_few_videos_say_nothing_and_change_nothing() -> None:
    before = DriftBefore(3, 40.0, 5)
    found = compare(ARRIVED, 1, before, None, [some(60, 0)], some(60, 0), np.random.default_rng(0))
    assert (found.distance, found.p_features, found.alarmed) == (None, None, False)
    assert found.e_value == DriftState(40.0, 5).e_value
    alone = compare(ARRIVED, 1, before, some(20, 1), [], None, np.random.default_rng(0))
    assert (alone.distance, alone.p_features, alone.statistic) == (None, None, 40.0)


@pytest.fixture
def champion(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> ModelVersion:
    """A version of 80 videos in 40 groups, which serves; no network was trained for it."""
    spec = ports.limits.spec
    rng = np.random.default_rng(0)
    names = [f"{n:02d}.mp4" for n in range(80)]
    means = {n: rng.normal(size=(1, spec.feature_size)).astype(np.float32) for n in names}
    groups = {name: str(n // 2) for n, name in enumerate(names)}
    put_collection(ports, "yard", means, dict.fromkeys(names, "cat"), groups)
    made = ModelVersion("m", 7, "r", ("cat",), spec, "yard", None, "h", 0, {}, digest="d")
    ports.ledger.decisions.put_version_videos(made.identity, {"train": [content_id(n) for n in names]})
    ports.ledger.decisions.put_promotion(
        "m", Promotion(0, None, 7, "promoted"), evidence={}, eval_set_hash=None, reason=None, actor="a",
        final=True, to=made.identity,
    )  # fmt: skip
    taught = ports.ledger.features.labelled_videos("yard", spec.feature_set_id)
    monkeypatch.setattr("vidpipe.steps.feature_drift.training_videos", lambda *_: taught)
    return made


def arrive(ports: Ports, here: dict[str, Floats], name: str, n: int) -> list[str]:
    """More videos come to the collection; their ids."""
    rng, size = np.random.default_rng(len(name)), ports.limits.spec.feature_size
    more = {f"{name}{k}.mp4": rng.normal(size=(1, size)).astype(np.float32) for k in range(n)}
    here |= more
    put_collection(ports, "gate", here)
    return [content_id(path) for path in more]


@pytest.mark.slow
def test_a_ledger_keeps_what_nights_are_compared_with(ports: Ports, champion: ModelVersion) -> None:
    ledger, here = concrete(ports.ledger, Ledger), dict[str, Floats]()

    def night() -> list[DriftFound]:
        run_id = ledger.runs.start("nightly", ended=[])
        return feature_drift(ports, champion, run_id)

    assert night() == [], "nothing came, and what the version was trained on does not count"
    arrive(ports, here, "few", LEAST_TONIGHT - 1)
    (few,) = night()
    assert few.videos == LEAST_TONIGHT - 1 and few.p_features is None
    ids = arrive(ports, here, "more", NIGHT_VIDEOS)
    (found,) = night()
    assert found.videos == NIGHT_VIDEOS + LEAST_TONIGHT - 1, "those that waited are compared now"
    assert found.p_features is not None and not found.alarmed and certain(found.distance) < 0.2
    assert night() == [], "each video counts once"
    rows = count(ledger)
    assert rows[None] == 40 and rows["gate"] == NIGHT_VIDEOS, "one of each group, and the night's"
    assert ledger.drift.earlier(champion.identity, "gate", 99) is None, "an alarm leaves nothing of before"
    again = ledger.drift.before(champion.identity, "gate")
    assert (again.statistic, again.nights, again.alarm_run_id) == (found.statistic, 1, 0)

    forget(ports, ids[0])
    forget(ports, content_id("00.mp4"))
    view = "select collection, version, videos, alarmed from feature_drift order by run_id"
    assert warehouse_rows(ports, view) == [("gate", 7, 9, False), ("gate", 7, 73, False)]
    assert not {ids[0], content_id("00.mp4")} & {*kept(ledger)}


def count(ledger: Ledger) -> dict[Any, int]:
    sql = (
        "select c.name, count(*) from core.drift_video left join core.collection as c using (collection_key) "
        "group by 1"
    )
    with ledger.database.session() as session:
        return dict(session.connection.execute(sql).fetchall())


def kept(ledger: Ledger) -> list[str]:
    with ledger.database.session() as session:
        sql = "select video_id from core.drift_video join core.video using (video_key)"
        return [row[0] for row in session.connection.execute(sql).fetchall()]
