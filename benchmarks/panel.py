"""What every kind of classifier makes of the same trainings and tests, and how honest their scores are.

A record is one training and its test: for every column which test videos are right and how sure, and the
same of the out-of-fold predictions of the training videos. Records are lines of JSON in files, so that a
panel that is stopped goes on where it was: the scores of the LSTMs, which take minutes, in one of their own.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.tasks import Task, Trial
from vidpipe import cores
from vidpipe.learning.cross_fitting import (
    PARTS,
    CrossFit,
    OutOfFold,
    choose_weights,
    cross_fitted,
    linear_parts,
    pooled,
    subset,
)
from vidpipe.learning.inference import predict
from vidpipe.learning.training import LSTMTrainer, TrainingConfig
from vidpipe.metrics import Indices, calibration_error
from vidpipe.records.models import FeatureLayout, Sequences
from vidpipe.records.videos import Doubles, Floats
from vidpipe.steps.train import RECIPE

REGISTERED = "registered"
"""What `vidpipe train` registers."""
TEXTBOOK, BEFORE = "textbook", "1a20505"
"""`train --plain`, and the network that commit 1a20505 registered: both trained without the val videos, which
choose a temperature, the latter on features without flow, as they were then."""
BASELINES = ("mean_linear", "mean_std_linear")
COLUMNS = (TEXTBOOK, BEFORE, *BASELINES, *(name for name in PARTS if name not in BASELINES), REGISTERED)
DEFAULT = TrainingConfig()
DRAWS = 400
"""Of perfectly calibrated predictions."""
NETWORKS = 1
"""Raised when the LSTMs are trained differently."""
Record = dict[str, Any]
Key = tuple[str, int, int]


# -- one training -----------------------------------------------------------------------------------


def networks(trial: Trial, seed: int, config: TrainingConfig = DEFAULT) -> Record:
    """Train every LSTM once: probabilities of the test videos by column, log probabilities out of fold."""
    config = replace(config, seed=seed)
    started = time.monotonic()
    fit = CrossFit(trial.data, trial.folds, config, trial.layout)
    for _ in fit.epochs():
        pass
    seconds = time.monotonic() - started
    given = {
        TEXTBOOK: _with_val(trial, config.plain(), trial.layout.blocks),
        BEFORE: _with_val(without_flow(trial), config, trial.layout.blocks[:-1]),
        "lstm": predict(fit.fitted.classifier.lstm, trial.test.features),
    }
    return {
        "seconds": round(seconds, 1),
        "out_of_fold": np.round(fit.fitted.out_of_fold.parts["lstm"], 5).tolist(),
        "test": {name: np.round(scores.astype(np.float64), 6).tolist() for name, scores in given.items()},
    }


def record(trial: Trial, seed: int, trained: Record, config: TrainingConfig = DEFAULT) -> Record:
    """Train the linear heads, join them to the LSTM and test everything."""
    config, test = replace(config, seed=seed), trial.test
    with cores.one_thread():
        heads, parts = linear_parts(trial.data, trial.folds, config, trial.layout)
    held_out = trial.folds >= 0
    parts["lstm"] = np.array(trained["out_of_fold"])
    chosen = OutOfFold({name: parts[name] for name in PARTS}, trial.data.targets[held_out],
                       trial.folds[held_out])  # fmt: skip
    weights = dict.fromkeys(parts, 0.0) | choose_weights(chosen)
    given = {name: np.array(scores) for name, scores in trained["test"].items()}
    given |= {name: predict(head, test.features).astype(np.float64) for name, head in heads.items()}
    given[REGISTERED] = pooled(weights, {name: np.log(given[name].clip(1e-9)) for name in weights})
    right = cross_fitted(chosen).argmax(1) == chosen.targets
    return {
        "videos": list(test.video_ids), "groups": list(trial.groups), "seconds": trained["seconds"],
        "weights": {name: round(weight, 3) for name, weight in weights.items()},
        "cv_accuracy": float(right.mean()),
        "columns": {name: _answers(given[name], test.targets) for name in COLUMNS},
    }  # fmt: skip


def _with_val(trial: Trial, config: TrainingConfig, blocks: Sequence[int]) -> Floats:
    """Test scores of an LSTM trained on all but the val videos."""
    train = np.setdiff1d(np.arange(len(trial.data)), trial.val)
    val = subset(trial.data, trial.val) if len(trial.val) else None
    trainer = LSTMTrainer(subset(trial.data, train), val, config, blocks)
    for _ in trainer.epochs():
        pass
    return predict(trainer.model, trial.test.features)


def without_flow(trial: Trial) -> Trial:
    """The same trial on the features of the CNN alone."""
    blocks, order = trial.layout.blocks[:-1], trial.layout.mirrored
    kept = sum(blocks)

    def cut(data: Sequences) -> Sequences:
        return replace(data, features=tuple(f[:, :kept] for f in data.features))

    layout = FeatureLayout(blocks, None if order is None else order[:kept])
    return replace(trial, data=cut(trial.data), test=cut(trial.test), layout=layout)


def _answers(given: Doubles, targets: Indices) -> dict[str, list[float]]:
    right = given.argmax(1) == targets
    return {"right": right.astype(int).tolist(), "score": np.round(given.max(1), 4).tolist()}


# -- all of them --------------------------------------------------------------------------------------


class Kept:
    """Records of one kind by name of the task, seed and number of the trial; in a file where one is given."""

    def __init__(self, made_by: str, file: Path | None) -> None:
        self._made_by, self._file = made_by, file
        self._known: dict[Key, Record] = {}
        for line in file.read_text(encoding="utf-8").splitlines() if file and file.exists() else []:
            found = json.loads(line)
            if found["made_by"] == made_by:
                self._known[found["task"], found["seed"], found["trial"]] = found

    def known(self, name: str, seed: int, number: int) -> Record | None:
        """What is known."""
        return self._known.get((name, seed, number))

    def get(self, key: Key, make: Callable[[], Record]) -> Record:
        """What is known, else what is made now."""
        if key not in self._known:
            of_key = dict(zip(("task", "seed", "trial"), key, strict=True))
            self._known[key] = {**of_key, "made_by": self._made_by, **make()}
            if self._file:
                with self._file.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(self._known[key]) + "\n")
        return self._known[key]


class Records:
    """Records of the panel: a change of the linear heads or the weights trains no network again."""

    def __init__(self, spec_id: str, folder: Path | None = None) -> None:
        self._networks = Kept(f"{spec_id} networks {NETWORKS}", folder and folder / "networks.jsonl")
        self._records = Kept(f"{spec_id} recipe {RECIPE}", folder and folder / "panel.jsonl")

    def of_task(self, name: str, task: Task, seeds: int) -> Iterator[Record]:
        """Records of one task; those that are missing are trained."""
        for seed in range(seeds):
            for number, trial in enumerate(task(seed)):
                yield self._of(trial, (name, seed, number))

    def _of(self, trial: Trial, key: Key) -> Record:
        def trained() -> Record:
            return self._networks.get(key, lambda: networks(trial, key[1]))

        return self._records.get(key, lambda: record(trial, key[1], trained()))

    def trained(self, name: str, task: Task, seeds: int) -> Iterator[tuple[Trial, int, Record]]:
        """The trials of a task whose networks are known, their seed, and what those networks score."""
        for seed in range(seeds):
            for number, trial in enumerate(task(seed)):
                if found := self._networks.known(name, seed, number):
                    yield trial, seed, found


@dataclass(frozen=True, slots=True)
class Row:
    """One task: accuracy of every column, and what the cross-validated estimate promised."""

    accuracy: Mapping[str, float]
    standard_error: Mapping[str, float]
    """Over groups of test videos, seeds averaged."""
    ahead: Mapping[str, tuple[float, float]]
    """Registered minus this column, and the standard error of that difference."""
    cv_accuracy: float
    """Mean over the trainings."""
    calibration_error: float
    """Of the registered model's pooled test predictions."""
    perfect_calibration_error: float
    """What perfectly calibrated predictions of the same scores would get, for they are few."""
    weights: Mapping[str, float]
    """Mean over the trainings."""
    seconds: float
    """A training, cross-fitting included; mean."""
    videos: int
    trainings: int


def row(records: Sequence[Record]) -> Row:
    """The figures of one task."""
    right = {name: _by_video(records, name) for name in COLUMNS}
    groups = {v: g for r in records for v, g in zip(r["videos"], r["groups"], strict=True)}
    of_video = [groups[v] for v in right[REGISTERED]]
    means = {name: np.array(list(of.values())) for name, of in right.items()}
    mine = means[REGISTERED]
    sure = np.concatenate([r["columns"][REGISTERED]["score"] for r in records])
    hits = np.concatenate([r["columns"][REGISTERED]["right"] for r in records]).astype(bool)
    names = records[0]["weights"]
    return Row(
        {name: float(of.mean()) for name, of in means.items()},
        {name: standard_error(of, of_video) for name, of in means.items()},
        {name: _mean(mine - of, of_video) for name, of in means.items()},
        float(np.mean([r["cv_accuracy"] for r in records])),
        calibration_error(hits, sure),
        perfect_calibration_error(sure),
        {name: float(np.mean([_share(r["weights"], name) for r in records])) for name in names},
        float(np.mean([r["seconds"] for r in records])), len(mine), len(records),
    )  # fmt: skip


def _mean(values: npt.NDArray[np.float64], groups: Sequence[str]) -> tuple[float, float]:
    return float(values.mean()), standard_error(values, groups)


def _share(weights: Mapping[str, float], name: str) -> float:
    return weights[name] / max(sum(weights.values()), 1e-9)


def _by_video(records: Sequence[Record], column: str) -> dict[str, float]:
    """Share of the seeds in which each test video was right."""
    found: dict[str, list[float]] = defaultdict(list)
    for one in records:
        for video, right in zip(one["videos"], one["columns"][column]["right"], strict=True):
            found[video].append(right)
    return {video: float(np.mean(of)) for video, of in found.items()}


def standard_error(values: npt.NDArray[np.float64], groups: Sequence[str]) -> float:
    """Of a mean over videos of which those of a group are no independent witnesses.

    Source: Liang and Zeger, Longitudinal data analysis using generalized linear models (1986): the sandwich.
    """
    _, number = np.unique(groups, return_inverse=True)
    sums = np.bincount(number, values - values.mean())
    return float(np.sqrt(sums @ sums) / len(values))


def perfect_calibration_error(sure: npt.NDArray[np.float64], seed: int = 0) -> float:
    """Mean calibration error of predictions that are right as often as their scores say."""
    rng, scores = np.random.default_rng(seed), sure.astype(np.float32)
    drawn = (calibration_error(rng.random(len(sure)) < scores, scores) for _ in range(DRAWS))
    return float(np.mean(list(drawn)))


# -- what is printed ------------------------------------------------------------------------------------


def lines(name: str, found: Row) -> Iterator[str]:
    """A row of the panel for people."""
    cells = [f"{c} {found.accuracy[c]:.3f}" for c in COLUMNS]
    yield f"{name:<24} {'  '.join(cells)} ± {found.standard_error[REGISTERED]:.3f}"
    best = max(BASELINES, key=found.accuracy.__getitem__)
    ahead = "  ".join(
        f"{said} {found.ahead[c][0]:+.3f} ± {found.ahead[c][1]:.3f}"
        for said, c in ((f"over {best}", best), (f"over {BEFORE}", BEFORE))
    )
    optimism = found.cv_accuracy - found.accuracy[REGISTERED]
    yield (
        f"{'':<24} {ahead}  cross-validated {found.cv_accuracy:.3f} ({optimism:+.3f})  calibration error "
        f"{found.calibration_error:.3f} (perfect {found.perfect_calibration_error:.3f})"
    )
    shares = ", ".join(f"{part} {share:.2f}" for part, share in found.weights.items() if share)
    ran = f"{found.trainings} trainings of {found.seconds:.0f} s, {found.videos} videos"
    yield f"{'':<24} weights {shares}; {ran}"


def summary(rows: Mapping[str, Row]) -> Iterator[str]:
    """Means over tasks, for people."""
    if not rows:
        return
    mine = np.array([r.accuracy[REGISTERED] for r in rows.values()])
    better = np.array([max(r.accuracy[name] for name in BASELINES) for r in rows.values()])
    before = np.array([r.accuracy[BEFORE] for r in rows.values()])
    promised = np.array([r.cv_accuracy for r in rows.values()])
    yield (
        f"{f'mean of {len(rows)}':<24} registered {mine.mean():.3f}  over the better baseline "
        f"{(mine - better).mean():+.3f}  over {BEFORE} {(mine - before).mean():+.3f}  "
        f"cross-validated minus test {(promised - mine).mean():+.3f}"
    )
