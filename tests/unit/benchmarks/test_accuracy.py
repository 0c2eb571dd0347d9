"""The tasks and figures of benchmarks/accuracy.py are what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import choices, panel
from benchmarks.panel import COLUMNS, lines, row, standard_error
from benchmarks.tasks import Clips, Trial, few, group_folds, order
from vidpipe.learning.cross_fitting import CrossFit, subset
from vidpipe.learning.inference import predict
from vidpipe.learning.training import TrainingConfig
from vidpipe.records.features import StoredFeatures
from vidpipe.records.models import LabelledVideo, Sequences
from vidpipe.splits import ResolvedSplit
from vidpipe.steps.train import RECIPE
from vidpipe.vision.feature_specs import default_spec

SPEC = default_spec(4.0)


class Made(Clips):
    """Three labels, eight groups of two videos each, features that say whose frame it is."""

    def __init__(self) -> None:
        self.spec, self.labels, self.features = SPEC, ("a", "b", "c"), {}
        videos: dict[str, list[LabelledVideo]] = {"train": [], "val": [], "test": []}
        for k, label in enumerate(self.labels):
            for n in range(16):
                group, name = n // 2, f"{label}{n}"
                frames = np.zeros((3 + n % 4, SPEC.feature_size), np.float32)
                frames[:, 0], frames[:, 1] = k * 100 + n, np.arange(len(frames))
                self.features[name] = frames
                split = "test" if group > 6 else "val" if group > 5 else "train"
                where = StoredFeatures(name, "part", 0, len(frames))
                videos[split].append(LabelledVideo(name, name, label, f"{group}", {}, where))
        self.split = ResolvedSplit("split", *(tuple(videos[name]) for name in ("train", "val", "test")))


def test_few_takes_one_video_of_each_group_and_all_of_the_test_split() -> None:
    clips = Made()
    (trial,) = few(clips, 4)(0)
    assert len(trial.data) == 12 and len(trial.test) == len(clips.split.test)
    group = {v.video_id: (v.label, v.group) for v in clips.learnt}
    assert len({group[i] for i in trial.data.video_ids}) == 12
    assert few(clips, 4)(1)[0].data.video_ids != trial.data.video_ids


def test_order_has_the_same_frames_on_both_sides_and_keeps_folds_and_test_apart() -> None:
    (trial,) = order(Made(), 20)(0)
    pairs = zip(trial.data.features[::2], trial.data.features[1::2], strict=True)
    for there, back in pairs:
        assert np.allclose(there.mean(0), back.mean(0))
        assert (there[0, 0] < 100) and (100 <= back[0, 0] < 200), "A then B, B then A"
    kept, off = (_seen(subset(trial.data, np.flatnonzero(trial.folds == f))) for f in (-1, 0))
    tested = _seen(trial.test)
    assert kept and off and tested and not (kept & off or kept & tested or off & tested)


def _seen(data: Sequences) -> set[float]:
    return {x for f in data.features for x in f[:, 0]}


def test_group_folds_test_every_video_once_by_trainings_without_its_group() -> None:
    clips = Made()
    trials = group_folds(clips)(0)
    tested = [i for trial in trials for i in trial.test.video_ids]
    assert sorted(tested) == sorted(v.video_id for v in clips.split.part("all"))
    group = {v.video_id: v.group for v in clips.split.part("all")}
    for trial in trials:
        assert not {group[i] for i in trial.data.video_ids} & set(trial.groups)
        assert set(trial.folds) == set(range(5)) and 0 < len(trial.val) < len(trial.data) / 2


def test_the_standard_error_counts_groups_and_not_their_videos() -> None:
    right = np.array([1.0, 0.0] * 20)
    alone = standard_error(right, [str(n) for n in range(40)])
    assert alone == pytest.approx(0.5 / 40**0.5)
    assert standard_error(np.repeat(right, 4), [str(n // 4) for n in range(160)]) == pytest.approx(alone)


def test_a_row_pools_seeds_and_compares_video_by_video() -> None:
    def made(seed: int, mine: list[int], theirs: list[int]) -> dict[str, Any]:
        columns = {name: {"right": theirs, "score": [0.5] * 4} for name in COLUMNS}
        columns["registered"] = {"right": mine, "score": [0.75] * 4}
        weights = {"lstm": 1.0, "mean_linear": 0.0}
        return {
            "videos": list("abcd"), "groups": list("xyzz"), "seconds": 1.0, "weights": weights,
            "cv_accuracy": 0.75, "columns": columns,
        }  # fmt: skip

    found = row([made(0, [1, 1, 1, 0], [0, 1, 1, 0]), made(1, [1, 1, 1, 0], [1, 1, 0, 0])])
    assert found.accuracy["registered"] == 0.75 and found.accuracy["lstm"] == 0.5
    assert found.ahead["lstm"][0] == 0.25 and found.ahead["registered"] == (0, 0)
    assert found.calibration_error == pytest.approx(0) and 0 < found.perfect_calibration_error < 0.3
    assert any("+0.250" in line for line in lines("a set", found))


def test_a_panel_that_was_stopped_trains_only_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    joined: list[float] = []

    def networks(trial: Trial, seed: int) -> dict[str, Any]:
        trained.append(seed)
        return {"seconds": 1.0}

    def record(trial: Trial, seed: int, of_networks: dict[str, Any]) -> dict[str, Any]:
        joined.append(of_networks["seconds"])
        return {}

    monkeypatch.setattr(panel, "networks", networks)
    monkeypatch.setattr(panel, "record", record)
    task = group_folds(Made())

    def run(spec_id: str, seeds: int) -> None:
        list(panel.Records(spec_id, tmp_path).of_task("made", task, seeds))

    for spec_id, seeds in (("a", 1), ("a", 2), ("b", 1)):
        run(spec_id, seeds)
    assert trained == [0] * 5 + [1] * 5 + [0] * 5, "another feature set knows no records"
    monkeypatch.setattr(panel, "RECIPE", RECIPE + 1)
    run("a", 2)
    assert len(trained) == 15 and len(joined) == 25, "another recipe trains no network again"


@pytest.mark.slow
def test_a_record_holds_every_column_for_every_test_video() -> None:
    clips = Made()
    small = clips.trial(clips.split.train[:30], clips.split.test, 0)
    config = TrainingConfig(epochs=1, hidden_size=8, projection=8)
    fit = CrossFit(small.data, small.folds, config, small.layout)
    list(fit.epochs())
    trained = panel.networks(small, 0, config)
    found = panel.record(small, 0, trained, config)
    assert found["weights"] == {k: pytest.approx(w, abs=2e-3) for k, w in fit.fitted.weights.items()}
    worth = choices.compared([(small, 0, trained)])
    right = np.mean(found["columns"]["registered"]["right"])
    assert worth["as it is"]["accuracy"][0] == pytest.approx(right)
    alone = np.mean(found["columns"]["lstm"]["right"])
    assert worth["no linear heads"]["accuracy"][0] == pytest.approx(alone - right)
    scores = predict(fit.fitted.classifier, small.test.features)
    assert found["columns"]["registered"]["score"] == pytest.approx(scores.max(1).tolist(), abs=2e-3)
    assert list(found["columns"]) == list(COLUMNS)
    assert all(len(of["right"]) == len(clips.split.test) for of in found["columns"].values())
    assert 0 <= found["cv_accuracy"] <= 1 and set(found["weights"]) >= {"lstm", *panel.BASELINES}
