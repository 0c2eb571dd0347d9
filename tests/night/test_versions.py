"""A version number that comes again: what another network said is never served as the new one's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import certain, concrete, warehouse_rows
from test_ledger import SET, arrive, extracted, ledger, made_once, predictions, put_part, query  # noqa: F401

from vidpipe.adapters import machine
from vidpipe.adapters.database import sqlfiles
from vidpipe.adapters.database.ledger import Ledger
from vidpipe.adapters.models.registry import Registry
from vidpipe.errors import NotFound
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.records.machine import ModelFault
from vidpipe.records.models import VersionId
from vidpipe.records.predictions import Promotion
from vidpipe.steps.explain import explain
from vidpipe.steps.nightly import nightly
from vidpipe.steps.promote import promote, rollback
from vidpipe.steps.train import train

OLD, NEW = VersionId("clips", 1, "old"), VersionId("clips", 1, "new")
OTHER = VersionId("other", 1, "other")

# -- the ledger -------------------------------------------------------------------------------------


@pytest.fixture
def old(ledger: Ledger) -> Ledger:  # noqa: F811
    """Two videos; the old version 1 has scored them, is champion, serves them, and has a yardstick."""
    arrive(ledger, a="A", b="B")
    put_part(ledger, extracted("A", "part-1.parquet"), extracted("B", "part-1.parquet", 8))
    crown(ledger, OLD)
    ledger.decisions.put_version_videos(OLD, {"train": ["A"]})
    ledger.decisions.put_reference(OLD, {("cat", 7): 2})
    ledger.predictions.put_predictions(1, OLD, SET, predictions("A", "B"))
    ledger.predictions.switch_serving(1)
    return ledger


def crown(ledger: Ledger, version: VersionId, decision: str = "promoted") -> None:  # noqa: F811
    number = ledger.decisions.put_promotion(
        version.model, Promotion(0, None, version.number, decision), evidence={}, eval_set_hash=None,
        reason=None, actor="a test", final=False, to=version,
    )  # fmt: skip
    ledger.decisions.finish_promotion(number)


def said(ledger: Ledger) -> list[tuple[Any, ...]]:  # noqa: F811
    return query(ledger, "select path, label, model_version from latest_predictions order by all")


def test_a_number_that_comes_again_starts_with_nothing_and_is_seen_by_nobody(old: Ledger) -> None:
    assert not old.versions.recognise(NEW), "the old one has the number"
    assert [v.video_id for v in old.predictions.unscored(NEW, SET, None)] == ["A", "B"]
    assert (old.predictions.count_scored(NEW, None), old.decisions.has_reference(NEW)) == (0, False)
    old.predictions.put_predictions(2, NEW, SET, predictions("A", best="dog"))
    old.decisions.put_reference(NEW, {("dog", 9): 1})
    old.decisions.put_version_videos(NEW, {"train": ["B"]})
    assert said(old) == [("a.mp4", "cat", 1), ("b.mp4", "cat", 1)]
    assert query(old, "select count(*) from predictions where rank = 1") == [(2,)]
    assert query(old, "select label from reference_predictions") == [("cat",)]
    assert query(old, "select video_id from version_videos") == [("A",)]
    assert query(old, "select count(*) from model_disagreements") == [(0,)]
    assert (old.decisions.versions_taught("A"), old.decisions.versions_taught("B")) == ([1], [1])


def test_a_champion_takes_its_number_and_what_the_one_before_said_is_set_aside(old: Ledger) -> None:
    old.predictions.put_predictions(2, NEW, SET, predictions("A", best="dog"))
    crown(old, NEW)
    assert (said(old), old.predictions.serving_versions()) == ([], {}), "serving begins anew"
    assert query(old, "select label from predictions where rank = 1") == [("dog",)], (
        "the shadow's row is kept"
    )
    assert old.versions.digest_of(1) == "new"
    old.predictions.put_predictions(3, NEW, SET, predictions("B", best="dog"))
    old.predictions.switch_serving(1)
    assert said(old) == [("a.mp4", "dog", 1), ("b.mp4", "dog", 1)]
    assert not old.decisions.has_reference(NEW) and old.decisions.has_reference(OLD)
    crown(old, OLD, "rolled_back")
    old.predictions.switch_serving(1)
    assert said(old) == [("a.mp4", "cat", 1), ("b.mp4", "cat", 1)], "nothing was lost, nothing mixed"


def test_a_run_that_scores_on_with_the_old_version_writes_no_row_of_the_new_one(old: Ledger) -> None:
    crown(old, NEW)
    old.predictions.put_predictions(1, OLD, SET, predictions("A"))
    assert query(old, "select count(*) from predictions") == [(0,)]
    assert old.predictions.count_scored(OLD, None) == 2


def test_another_registered_model_serves_without_what_the_one_before_said(old: Ledger) -> None:
    crown(old, replace(OTHER, number=2))
    assert (said(old), old.predictions.serving_versions(), old.versions.last_model()) == ([], {}, "other")
    assert old.versions.recognise(OLD), "number 1 is still its own"


def test_a_video_that_is_forgotten_is_erased_of_what_is_set_aside_too(old: Ledger) -> None:
    crown(old, NEW)
    old.features.forget("A", [])
    assert query(old, "select count(distinct video_key) from core.prediction") == [(1,)]


def test_the_history_knows_which_version_a_number_meant(old: Ledger) -> None:
    crown(old, NEW)
    history = old.decisions.promotion_history("clips")
    assert [(p.to_version, p.to_digest) for p in history] == [(1, "old"), (1, "new")]


# -- homes that exist -------------------------------------------------------------------------------


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A ledger as it was before versions were told apart by their digests, with two models' predictions."""
    at = next(n for n, name, _ in sqlfiles.migrations() if name.endswith("versions"))
    known = sqlfiles.migrations()
    connection = duckdb.connect(str(tmp_path / "ledger.duckdb"))
    for number, name, text in known[: known.index(next(m for m in known if m[0] == at))]:
        connection.execute(text)
        connection.execute("insert into core.migration values (?, ?, now()::timestamp)", [number, name])
    connection.execute("""
        insert into core.model values (1, 'clips'), (2, 'other');
        insert into core.label values (1, 'cat');
        insert into core.video (video_key, video_id, bytes) values (1, 'A', 1), (2, 'B', 1);
        insert into core.feature_set values (1, 'f', '{}', timestamp '2026-01-01');
        insert into core.collection (collection_key, name, source, created_at)
        values (1, 'yard', '/yard', timestamp '2026-01-01');
        insert into core.collection_serving values (1, 1, timestamp '2026-01-02');
        insert into core.prediction
        select v, m, 1, 1, 1, 1, 0.5, 1, timestamp '2026-01-01' + to_days(m), null, null
        from range(1, 3) as videos (v), range(1, 3) as models (m);
        insert into core.promotion
        values (
            nextval('core.promotion_ids'), 'other', null, 1, 'forced', '{}', null, null, 'x',
            timestamp '2026-01-01', true
        );
    """)
    connection.close()
    return Ledger(tmp_path / "ledger.duckdb")


def test_a_migration_parts_what_two_models_said_under_one_number(before: Ledger) -> None:
    assert before.decisions.promotion_history("other") == [Promotion(1, None, 1, "forced", None)]
    assert query(before, "select model_name, count(*) from predictions group by all") == [("other", 2)]
    assert query(before, "select model_name, model_version, is_current from core.version order by all") == [
        ("clips", 1, False), ("other", 1, True),
    ]  # fmt: skip
    later = replace(OTHER, created_at=datetime(2026, 1, 2))
    assert before.predictions.count_scored(later, None) == 0, "none is present"
    assert before.versions.digest_of(1) == "other", "rows younger than the version are taken for its own"
    clips = replace(OLD, created_at=datetime(2026, 1, 1))
    assert not before.versions.recognise(clips)
    crown(before, clips)
    assert query(before, "select distinct model_name from predictions") == [("clips",)]


def test_rows_that_are_older_than_the_version_are_not_taken_for_its_own(before: Ledger) -> None:
    young = replace(OTHER, created_at=datetime(2026, 1, 3) + timedelta(seconds=1))
    assert not before.versions.recognise(young)
    crown(before, young)
    assert query(before, "select count(*) from predictions") == [(0,)]
    assert before.predictions.serving_versions() == {}


# -- the registry -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, crowned_home: Any, make_ports: Any) -> Path:
    """A home whose version 1 is champion and has scored all."""
    home: Path = crowned_home(tmp_path_factory.mktemp("served") / "home")
    assert nightly(make_ports(home)).classified == 6
    return home


@pytest.fixture
def ports(served: Path, tmp_path: Path, make_ports: Callable[[Path], Ports]) -> Ports:
    home = shutil.copytree(served, tmp_path / "home", ignore=shutil.ignore_patterns("artifacts"))
    return make_ports(home)


def learn(ports: Ports, seed: int) -> int:
    """Train an LSTM alone: linear parts would be the same for every seed."""
    config = TrainingConfig(seed=seed, epochs=1)
    return train(ports, "clips", split_column="split", config=config, linear=False).version


def start_over(ports: Ports) -> None:
    """The registered model is deleted in MLflow, and another takes its number 1."""
    concrete(ports.registry, Registry).store.client.delete_registered_model(ports.registry.model)
    assert learn(ports, seed=9) == 1


def home_of(ports: Ports) -> Path:
    return concrete(ports.ledger, Ledger).database.file.parent.parent


def faults_of(ports: Ports) -> list[ModelFault]:
    unfinished = certain(concrete(ports.ledger, Ledger).unfinished())
    return machine.models(home_of(ports) / "mlflow", None, ports.registry.model, unfinished)


def served_rows(ports: Ports) -> dict[str, tuple[str, float, int]]:
    found = warehouse_rows(ports, "select video_id, label, score, model_version from latest_predictions")
    return {row[0]: (row[1], round(row[2], 5), row[3]) for row in found}


def explained(ports: Ports, video_id: str) -> tuple[str, float, int]:
    said_now = explain(ports, video_id, model="1")
    return said_now.label, round(said_now.score, 5), said_now.version


def test_what_is_stored_is_what_the_serving_version_says_after_a_model_was_deleted(ports: Ports) -> None:
    before = served_rows(ports)
    start_over(ports)
    night = nightly(ports)
    assert (night.status, night.classified) == ("degraded", 0), "the old champion serves on, from its copy"
    assert "gone from the registry" in night.problems[0]
    assert served_rows(ports) == before
    (fault,) = faults_of(ports)
    assert "version 1 is not the one that had this number; nights score with its local copy" in fault.message
    assert fault.repair.startswith("vidpipe promote 1")
    assert promote(ports, force=True, reason="a test").decision == "forced"
    assert faults_of(ports) == []
    night = nightly(ports)
    assert (night.status, night.classified, night.problems) == ("ok", 6, [])
    after = served_rows(ports)
    assert after == {video_id: explained(ports, video_id) for video_id in before}
    assert after != before
    with pytest.raises(NotFound):
        rollback(ports)
    assert nightly(ports).classified == 0


def test_the_alias_moved_by_hand_to_a_number_that_came_again_is_another_champion(ports: Ports) -> None:
    start_over(ports)
    ports.registry.set_alias("champion", 1)
    assert nightly(ports).classified == 6
    rows = warehouse_rows(ports, "select decision, from_version, to_version from promotions")
    assert rows[-1] == ("external", 1, 1)
    assert served_rows(ports) == {video_id: explained(ports, video_id) for video_id in served_rows(ports)}


def test_two_model_names_on_one_home_serve_each_its_own(
    ports: Ports, make_ports: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = served_rows(ports)
    home = home_of(ports)
    monkeypatch.setenv("VIDPIPE_MODEL_NAME", "other")
    other = make_ports(home)
    assert learn(other, seed=9) == 1
    assert nightly(other).status == "no_champion"
    assert served_rows(ports) == before, "an experiment with another name changes nothing that is served"
    promote(other, force=True, reason="a test")
    assert nightly(other).classified == 6
    assert served_rows(other) == {video_id: explained(other, video_id) for video_id in before}
    monkeypatch.delenv("VIDPIPE_MODEL_NAME")
    back = nightly(make_ports(home))
    assert (back.status, back.classified) == ("ok", 0), "its rows were set aside, not lost"
    assert served_rows(ports) == before
