"""The story of a championship on real clips: a fair judge, a history in SQL, a shadow, a way back.

Version 1 is undertrained, 2 learnt shuffled labels, 3 is good. Home and clips are made once; each test
goes on from where the one before stopped.
"""

from __future__ import annotations

import csv
import json
import random
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import certain, concrete, warehouse_rows

from vidpipe.adapters.database.session import now_utc
from vidpipe.adapters.models.registry import Registry
from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.steps import classify as classify_step
from vidpipe.steps import score_shards
from vidpipe.steps.classify import classify
from vidpipe.steps.evaluate import evaluate
from vidpipe.steps.extract import extract
from vidpipe.steps.freeze_eval import freeze_eval
from vidpipe.steps.ingest import ingest
from vidpipe.steps.nightly import nightly
from vidpipe.steps.promote import promote, rollback
from vidpipe.steps.train import train

LABELS = ("Archery", "HorseRace", "PlayingPiano", "Surfing")
TRAIN, TEST = 12, 9
N = len(LABELS) * (TRAIN + TEST)


def chosen_rows(shared: Path) -> list[dict[str, str]]:
    """Of each label 12 training and 9 test clips, from as many groups as there are."""
    found: dict[tuple[str, str], dict[str, list[dict[str, str]]]] = defaultdict(lambda: defaultdict(list))
    with (shared / "ucf101" / "splits.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            found[row["label"], row["split1"]][row["group"]].append(row)
    chosen = []
    for label in LABELS:
        for split, wanted in (("train", TRAIN), ("test", TEST)):
            groups = found[label, split].values()
            in_turn = [group[k] for k in range(10) for group in groups if k < len(group)]
            for row in in_turn[:wanted]:
                group = f"{label} {row['group']}"
                chosen.append({"path": row["path"], "label": label, "group": group, "split": split})
    return chosen


def write_manifest(file: Path, rows: list[dict[str, str]]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ["path", "label", "group", "split"])
        writer.writeheader()
        writer.writerows(rows)
    return file


class Story:
    """One home, its clips, and when each version became champion."""

    def __init__(self, folder: Path, rows: list[dict[str, str]], make_ports: Callable[[Path], Ports]) -> None:
        self.folder, self.rows, self.clips = folder, rows, folder / "clips"
        self.home = folder / "home"
        self.home.mkdir()
        (self.home / "vidpipe.toml").write_text("sample_fps = 1\n")
        self._make_ports = make_ports
        self.moments: dict[str, Any] = {}

    @property
    def ports(self) -> Ports:
        return self._make_ports(self.home)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        return warehouse_rows(self.ports, query)

    def one(self, query: str) -> Any:
        ((value,),) = self.ask(query)
        return value

    def serving(self) -> dict[str, int]:
        return dict(self.ask("select collection, model_version from collection_serving"))


@pytest.fixture(scope="module")
def story(
    shared: Path, tmp_path_factory: pytest.TempPathFactory, make_ports: Callable[[Path], Ports]
) -> Story:
    rows = chosen_rows(shared)
    told = Story(tmp_path_factory.mktemp("story"), rows, make_ports)
    for row in rows:
        copy = told.clips / row["path"]
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(shared / "ucf101" / row["path"], copy)
    manifest = write_manifest(told.folder / "clips.csv", rows)
    ingest(told.ports, "clips", told.clips, manifest=manifest)
    extract(told.ports)
    return told


def test_a_frozen_set_is_the_same_set_whoever_freezes_it(story: Story) -> None:
    first = freeze_eval(story.ports, "clips")
    again = freeze_eval(story.ports, "clips", split_column="split")
    assert (first.videos, first.labels, first.existing) == (36, dict.fromkeys(LABELS, TEST), False)
    assert (again.eval_set_hash, again.existing) == (first.eval_set_hash, True)
    assert story.ask("select eval_set_hash, videos, labels, is_current from evaluation_sets") == [
        (first.eval_set_hash, 36, 4, True)
    ]
    assert story.one("select count(*) from evaluation_videos") == 36
    with pytest.raises(ConfigurationError, match="no split 'tset'"):
        freeze_eval(story.ports, "clips", split="tset")


def test_the_first_champion_must_beat_chance(story: Story) -> None:
    with pytest.raises(NotFound):
        promote(story.ports)
    hasty = TrainingConfig(epochs=4, hidden_size=8, projection=8, learning_rate=5e-4)  # about 0.64 right
    train(story.ports, "clips", config=hasty, linear=False)
    decision = promote(story.ports)
    assert (decision.decision, decision.version) == ("promoted", 1)
    assert decision.evidence["eval_set"]["frozen"]
    assert "below its own baseline mean" in decision.warnings[0]
    story.moments["first"] = now_utc()
    night = nightly(story.ports)
    assert (night.status, night.classified, night.shadowed) == ("ok", N, 0)
    assert story.serving() == {"clips": 1}


def test_a_worse_challenger_is_refused_with_reasons_and_shadows_the_champion(story: Story) -> None:
    learning = [row for row in story.rows if row["split"] == "train"]
    labels = [row["label"] for row in learning]
    random.Random(0).shuffle(labels)
    wrong = [{**row, "label": labels.pop()} if row["split"] == "train" else row for row in story.rows]
    ingest(
        story.ports, "shuffled", story.clips, manifest=write_manifest(story.folder / "shuffled.csv", wrong)
    )
    train(story.ports, "shuffled", config=TrainingConfig(epochs=15, hidden_size=32))
    decision = promote(story.ports)
    assert (decision.decision, decision.version) == ("refused", 2)
    said = "\n".join(decision.reasons)
    for part in ("not better than chance", "not shown to be as good as the champion", "recall falls from"):
        assert part in said
    assert story.ports.registry.aliases() == {"champion": 1, "challenger": 2}
    assert story.one("select reason from promotions where decision = 'refused'") == "; ".join(
        decision.reasons
    )

    night = nightly(story.ports)
    assert (night.status, night.classified, night.shadowed) == ("ok", 0, N)
    shadow = story.one("select detail -> '$.shadow' from nights order by run_id desc limit 1")
    assert f'"compared":{N}' in shadow and '"version":2' in shadow
    assert story.ask("select distinct model_version from latest_predictions") == [(1,)]
    assert story.one("select count(distinct video_id) from predictions where model_version = 2") == N
    assert story.one("select count(*) from model_disagreements where other_version = 2") > N / 4
    changes = story.ask(
        "select sum(share_change), max(share_change) from label_shift where collection = 'clips'"
    )
    assert changes[0][0] == pytest.approx(0) and changes[0][1] > 0
    challenger, champion = (story.ports.registry.version(n).identity for n in ("2", "1"))
    assert story.ports.ledger.decisions.agreeing_nights(challenger, champion, 0.9) == 0
    assert story.ports.ledger.decisions.agreeing_nights(challenger, champion, 0.0) == 1
    another = replace(challenger, digest="of another with its number")
    assert story.ports.ledger.decisions.agreeing_nights(another, champion, 0.0) == 0


def test_a_better_challenger_is_promoted_and_the_others_wait_for_the_backfill(story: Story) -> None:
    train(story.ports, "clips", config=TrainingConfig(epochs=30))
    decision = promote(story.ports)
    assert (decision.decision, decision.version) == ("promoted", 3)
    gained = decision.evidence["difference"]["accuracy"]
    assert 0 < gained["low"] < gained["value"]
    story.moments["third"] = now_utc()
    assert story.serving() == {"clips": 1, "shuffled": 1}
    assert story.ask("select collection, count(*) from needs_rescore group by 1 order by 1") == [
        ("clips", N), ("shuffled", N),
    ]  # fmt: skip


@pytest.fixture
def no_videos(story: Story) -> Iterator[None]:
    """The files are out of reach."""
    away = story.clips.rename(story.folder / "away")
    yield
    away.rename(story.clips)


def test_backfill_opens_no_video_stops_in_time_and_switches_collections_as_a_whole(
    story: Story, no_videos: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = classify(story.ports, backfill=True, budget_s=0)
    assert (nothing.classified, nothing.remaining) == (0, 2 * N)

    with monkeypatch.context() as clock:
        ticks = iter(range(1000))
        clock.setattr(classify_step, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
        clock.setattr(score_shards, "SHARD_VIDEOS", 10)
        some = classify(story.ports, backfill=True, budget_s=4)
    assert 0 < some.classified < N
    assert some.remaining == 2 * (N - some.classified), "both collections hold the same videos"
    assert story.serving() == {"clips": 1, "shuffled": 1}
    assert story.ask("select distinct model_version from latest_predictions") == [(1,)]

    rest = classify(story.ports, backfill=True)
    assert (rest.classified, rest.remaining) == (N - some.classified, 0)
    assert story.serving() == {"clips": 3, "shuffled": 3}
    assert story.ask("select model_version, count(*) from latest_predictions group by 1") == [(3, 2 * N)]
    assert story.one("select count(*) from needs_rescore") == 0
    assert story.one("select count(*) from (from predictions where model_version = 3 and rank = 1)") == N


def test_a_roll_back_takes_seconds_and_brings_the_old_predictions_back(story: Story, no_videos: None) -> None:
    before = story.ask("select video_id, label, score from predictions where model_version = 1 and rank = 1")
    started = time.monotonic()
    back = rollback(story.ports, reason="the street camera")
    assert time.monotonic() - started < 5
    assert (back.decision, back.version) == ("rolled_back", 1)
    story.moments["back"] = now_utc()
    now = "select video_id, label, score from latest_predictions where collection = 'clips'"
    assert sorted(story.ask(now)) == sorted(before)
    again = promote(story.ports, "3")
    assert again.decision == "promoted"
    assert classify(story.ports).classified == 0
    assert story.serving() == {"clips": 3, "shuffled": 3}


def test_history_answers_who_was_champion_when(story: Story) -> None:
    ages = ", ".join(f"champion_as_of(timestamp '{story.moments[m]}')" for m in ("first", "third", "back"))
    assert story.ask(f"select champion_as_of(timestamp '2000-01-01'), {ages}") == [(None, 1, 3, 1)]
    assert story.ask("select decision, from_version, to_version from promotions order by promotion_id") == [
        ("promoted", None, 1), ("refused", 1, 2), ("promoted", 1, 3), ("rolled_back", 3, 1),
        ("promoted", 1, 3),
    ]  # fmt: skip
    frozen = "select count(*) from promotions join evaluation_sets using (eval_set_hash)"
    assert story.one(frozen) == 4
    assert story.one("select reason from promotions where decision = 'rolled_back'") == "the street camera"


def test_a_set_that_leaks_or_is_too_small_decides_nothing(story: Story) -> None:
    train(story.ports, "clips", config=TrainingConfig(epochs=15, seed=1))
    fair = story.ports.ledger.decisions.evaluation_sets()[0]
    leaky = freeze_eval(story.ports, "clips", split="train")
    decision = promote(story.ports)
    assert decision.decision == "refused"
    assert decision.reasons[0].startswith(f"the evaluation set leaks: {leaky.videos} of its videos and ")
    assert decision.evidence["overlap"]["groups"] == leaky.groups

    tiny = [row for row in story.rows if row["split"] == "test"][::4]
    ingest(story.ports, "tiny", story.clips, manifest=write_manifest(story.folder / "tiny.csv", tiny))
    small = freeze_eval(story.ports, "tiny", split="all")
    decision = promote(story.ports)
    assert f"too small to decide: {small.videos} videos, at least 20 needed" in "; ".join(decision.reasons)

    with pytest.raises(NotFound, match=fair):
        promote(story.ports, eval_set="0000")
    decision = promote(story.ports, eval_set=fair)
    assert decision.evidence["eval_set"]["eval_set_hash"] == fair
    assert decision.evidence["overlap"] == {"videos": 0, "groups": 0}


def test_agreeing_nights_can_be_asked_for(story: Story) -> None:
    ports = story.ports
    fair = next(
        s
        for s in ports.ledger.decisions.evaluation_sets()
        if s not in ports.ledger.decisions.evaluation_sets()[:2]
    )
    train(ports, "clips", config=TrainingConfig(epochs=15, seed=2))
    limits = replace(ports.limits, policy=replace(ports.limits.policy, margin=1.0, shadow_nights=1))
    asking = replace(ports, limits=limits)
    (reason,) = promote(asking, eval_set=fair).reasons
    assert reason == "0 nights in the shadow on which it agreed with the champion, 1 needed"
    assert nightly(asking).shadowed == N
    assert promote(asking, eval_set=fair).decision == "promoted"


def test_force_and_a_hand_in_mlflow_are_on_record(story: Story) -> None:
    with pytest.raises(ConfigurationError, match="needs a reason"):
        promote(story.ports, "2", force=True)
    forced = promote(story.ports, "2", force=True, reason="for the demonstration")
    assert forced.decision == "forced" and forced.reasons
    story.ports.registry.set_alias("champion", 3)
    assert nightly(story.ports).status == "ok"
    last_two = "select decision, to_version, reason from promotions order by promotion_id desc limit 2"
    assert story.ask(last_two) == [
        ("external", 3, "alias moved outside vidpipe"), ("forced", 2, "for the demonstration"),
    ]  # fmt: skip
    assert story.one("select champion_as_of('infinity')") == 3


def test_who_opens_mlflow_alone_can_tell_why_a_version_serves(story: Story) -> None:
    """`story` has promoted, refused, rolled back and forced by now."""
    registry = concrete(story.ports.registry, Registry)
    client = registry.store.client
    first, forced = (client.get_model_version(registry.model, number).tags for number in ("1", "2"))
    assert (first["validation_status"], first["vidpipe.decision"]) == ("approved", "rolled_back")
    assert first["vidpipe.reason"] == "the street camera" and first["vidpipe.decided_by"]
    assert (forced["validation_status"], forced["vidpipe.reason"]) == ("forced", "for the demonstration")
    ((number,),) = story.ask("select promotion_id from promotions where decision = 'forced'")
    assert forced["vidpipe.promotion_id"] == str(number)

    experiment = client.get_experiment_by_name("vidpipe")
    assert experiment
    runs = client.search_runs(
        [experiment.experiment_id], "tags.`vidpipe.version` = '3'", order_by=["start_time"]
    )
    run = next(run for run in runs if run.info.run_name == "promoted version 3")
    promoted = "from promotions where decision = 'promoted' and to_version = 3 order by promotion_id limit 1"
    (decided,) = story.ask(f"select evidence {promoted}")
    evidence = json.loads(decided[0])
    assert run.data.metrics["challenger.accuracy"] == evidence["challenger"]["accuracy"]
    assert run.data.metrics["champion.accuracy"] == evidence["champion"]["accuracy"]
    (given,) = certain(run.inputs).dataset_inputs
    assert evidence["eval_set"]["eval_set_hash"].startswith(given.dataset.digest)
    taught = client.get_model_version(registry.model, "3").run_id
    logged = client.search_logged_models([experiment.experiment_id], f"source_run_id = '{taught}'")
    assert "challenger.accuracy" in {metric.key for model in logged for metric in model.metrics or []}
    file = client.download_artifacts(run.info.run_id, "evidence.json", str(story.folder))
    assert json.loads(Path(file).read_text())["policy"] == evidence["policy"]

    scores = evaluate(story.ports, model="3")
    (newest, *_) = client.search_runs([experiment.experiment_id], order_by=["start_time desc"])
    assert newest.info.run_name == "evaluate version 3"
    assert newest.data.metrics["test.accuracy"] == scores.accuracy
    files = {file.path for file in client.list_artifacts(newest.info.run_id)}
    assert files == {"evidence.json", "confusion.png", "calibration.png"}


def test_drift_is_measured_against_what_the_version_answered_in_training(story: Story) -> None:
    assert story.one("select sum(videos) from reference_predictions where model_version = 3") == 36
    (row,) = story.ask(
        "select videos, label_drift_from_training, score_drift_from_training, label_drift_from_recent "
        "from drift where collection = 'clips'"
    )
    assert row[0] == N and 0 <= row[1] < 0.1 and 0 <= row[2] < 0.5 and row[3] is None
