"""What each choice of the linear heads, and of the weights that join the parts, is worth.

Each choice is undone by itself on every trial whose networks are known (panel.py), and compared with the
registered model video by video. Test videos show what a choice is worth; none was made by them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.panel import DEFAULT, Record, standard_error, without_flow
from benchmarks.tasks import Trial
from vidpipe import cores
from vidpipe.learning.cross_fitting import (
    EQUAL,
    PARTS,
    SHRINKAGE,
    OutOfFold,
    choose_weights,
    fit_weights,
    linear_parts,
    pooled,
)
from vidpipe.learning.inference import predict
from vidpipe.learning.linear import STATISTICS
from vidpipe.learning.prior import PRIOR
from vidpipe.records.videos import Doubles


@dataclass(frozen=True, slots=True)
class Choice:
    """How the registered model is put together."""

    kinds: str = "balanced"
    """`balanced`, `as large as they are`, `without flow`, `left and right apart`, or `of whole videos`."""
    parts: tuple[str, ...] = PARTS
    shrinkage: float | None = None
    """Of weights that are learnt in any case; None: as the product chooses."""


AS_IT_IS = "as it is"
CHOICES = {
    AS_IT_IS: Choice(),
    "kinds of features not balanced": Choice("as large as they are"),
    "linear heads without flow": Choice("without flow"),
    "linear heads that know no mirror": Choice("left and right apart"),
    "linear heads that know no common part": Choice("each cell apart"),
    "linear heads with the trend in full": Choice("trend in full"),
    "linear heads without crops": Choice("of whole videos"),
    "learnt weights, hardly shrunk (1)": Choice(shrinkage=1.0),
    "learnt weights, half-way (10)": Choice(shrinkage=SHRINKAGE),
    "learnt weights, shrunk more (100)": Choice(shrinkage=100.0),
    "equal weights": Choice(shrinkage=EQUAL),
    "means besides": Choice(parts=("mean_linear", *PARTS)),
    "mean and deviation without change": Choice(parts=("mean_std_linear", "trend_linear", "lstm")),
    "thirds in place of trend": Choice(parts=("mean_std_change_linear", "thirds_linear", "lstm")),
    "no trend": Choice(parts=("mean_std_change_linear", "lstm")),
    "no mean, deviation and change": Choice(parts=("trend_linear", "lstm")),
    "no linear heads": Choice(parts=("lstm",)),
    "no LSTM": Choice(parts=("mean_std_change_linear", "trend_linear")),
}

Scores = tuple[Mapping[str, Doubles], Mapping[str, Doubles]]
"""Log probabilities by part: out of fold, and of the test videos."""


def scored(trial: Trial, seed: int, trained: Record) -> Iterator[tuple[str, Doubles]]:
    """Probabilities (n, K) of the test videos under each choice."""
    known = {kinds: _parts(trial, seed, trained, kinds) for kinds in {c.kinds for c in CHOICES.values()}}
    held_out = trial.folds >= 0
    for name, choice in CHOICES.items():
        out_of_fold, test = ({p: of[p] for p in choice.parts} for of in known[choice.kinds])
        seen = OutOfFold(out_of_fold, trial.data.targets[held_out], trial.folds[held_out])
        learnt = choice.shrinkage
        yield name, pooled(fit_weights(seen, learnt) if learnt else choose_weights(seen), test)


def _parts(trial: Trial, seed: int, trained: Record, kinds: str) -> Scores:
    """Scores of all parts, the linear ones trained on these kinds of features."""
    used = without_flow(trial) if kinds == "without flow" else trial
    layout = None if kinds == "as large as they are" else used.layout
    prior = {
        "left and right apart": replace(PRIOR, directed=1.0),
        "each cell apart": replace(PRIOR, common=1.0),
        "trend in full": replace(PRIOR, trend=1.0),
    }.get(kinds, PRIOR)
    crops = 1.0 if kinds == "of whole videos" else DEFAULT.crop_share
    config = replace(DEFAULT, seed=seed, crop_share=crops)
    with cores.one_thread():
        heads, out_of_fold = linear_parts(used.data, used.folds, config, layout, [*STATISTICS], prior)
    test = {name: predict(head, used.test.features) for name, head in heads.items()}
    test["lstm"] = np.array(trained["test"]["lstm"], np.float32)
    logs = {name: np.log(p.astype(np.float64).clip(1e-9)) for name, p in test.items()}
    return out_of_fold | {"lstm": np.array(trained["out_of_fold"])}, logs


def compared(trials: Sequence[tuple[Trial, int, Record]]) -> dict[str, dict[str, tuple[float, float]]]:
    """Accuracy and log loss of each choice minus those as it is, each with its standard error over groups.

    As it is: the accuracy and log loss themselves.
    """
    right: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    loss: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    groups: dict[str, str] = {}
    for trial, seed, trained in trials:
        groups |= dict(zip(trial.test.video_ids, trial.groups, strict=True))
        for name, scores in scored(trial, seed, trained):
            for video, target, row in zip(trial.test.video_ids, trial.test.targets, scores, strict=True):
                right[name][video].append(float(row.argmax() == target))
                loss[name][video].append(-float(np.log(row[target])))
    of_video = list(groups.values())

    def difference(found: Mapping[str, Mapping[str, Sequence[float]]], name: str) -> tuple[float, float]:
        mine = np.array([np.mean(found[name][v]) for v in groups])
        base = 0.0 if name == AS_IT_IS else np.array([np.mean(found[AS_IT_IS][v]) for v in groups])
        return float((mine - base).mean()), standard_error(mine - base, of_video)

    return {
        name: {"accuracy": difference(right, name), "log loss": difference(loss, name)} for name in CHOICES
    }


def lines(found: Mapping[str, Mapping[str, tuple[float, float]]]) -> Iterator[str]:
    """For people."""
    for name, of in found.items():
        cells = "   ".join(f"{what} {value:+.3f} ± {error:.3f}" for what, (value, error) in of.items())
        yield f"  {name:<38}{cells}"
