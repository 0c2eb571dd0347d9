"""Evidence for a decision: the numbers of challenger, champion and baselines on one evaluation set."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vidpipe.evaluation.comparison import Difference, McNemar, mcnemar, paired_bootstrap
from vidpipe.metrics import Indices, calibration_error, scores
from vidpipe.records.models import EvaluationSet, Predictions, Scores
from vidpipe.splits import group_hash


@dataclass(frozen=True, slots=True)
class Training:
    """Training data of a version: videos and groups of its train and val splits."""

    video_ids: Collection[str]
    group_hashes: Collection[str]


@dataclass(frozen=True, slots=True, eq=False)
class GateInput:
    """Input of the gate: predictions of both versions on one evaluation set, and their training data."""

    eval_set: EvaluationSet
    challenger: Predictions
    baselines: Mapping[str, Predictions]
    """Linear heads on statistics over time, trained on the challenger's videos, by name."""
    training: Training
    """The challenger's."""
    champion: Predictions | None = None
    champion_training: Training | None = None
    other_kind: bool = False
    """There is a champion that gives one label a video where the challenger gives several, or the reverse."""
    same_features: bool = True
    """Challenger and champion read the same feature set."""
    agreeing_nights: int = 0


@dataclass(frozen=True, slots=True)
class Overlap:
    """Overlap of the evaluation set with a version's training data (leakage)."""

    videos: int
    groups: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """The numbers behind a decision."""

    challenger: Scores
    baseline: Scores
    """The better of the baselines."""
    baselines: dict[str, Scores]
    champion: Scores | None
    chance: float
    """Share of the commonest label in the set: what guessing gives."""
    p_chance: float
    """Probability that guessing does as well as the challenger."""
    difference: Difference | None
    """Challenger minus champion."""
    mcnemar: McNemar | None
    calibration_error: dict[str, float]
    """Expected calibration error by contender."""
    overlap: Overlap
    champion_overlap: Overlap | None
    agreeing_nights: int

    def to_dict(self) -> dict[str, Any]:
        """Evidence as plain values, as stored in `promotions.evidence`."""
        return asdict(self)


def evidence_of(given: GateInput) -> Evidence:
    """Evidence where every video has one label."""
    eval_set, champion = given.eval_set, given.champion
    contenders = {"challenger": given.challenger, **given.baselines}
    if champion is not None:
        contenders["champion"] = champion
    known = sorted(
        {*eval_set.labels, *(label for predictions in contenders.values() for label in predictions.labels)}
    )
    truth = indices_of([v.label for v in eval_set.videos], known)
    predicted = {name: indices_of(predictions.predicted, known) for name, predictions in contenders.items()}
    found = {name: scores(truth, indices, known) for name, indices in predicted.items()}
    baselines = {name: found[name] for name in given.baselines}
    best = max(baselines, key=lambda name: (baselines[name].accuracy, baselines[name].macro_f1))
    hits = round(found["challenger"].accuracy * len(truth))
    chance = float(np.bincount(truth).max() / len(truth)) if len(truth) else 1.0
    compared = champion is not None
    groups = indices_of([v.group for v in eval_set.videos], sorted({v.group for v in eval_set.videos}))
    return Evidence(
        challenger=found["challenger"],
        baseline=found[best],
        baselines=baselines,
        champion=found.get("champion"),
        chance=chance,
        p_chance=_p_at_least(hits, len(truth), chance),
        difference=paired_bootstrap(truth, predicted["challenger"], predicted["champion"], groups, len(known))
        if compared
        else None,
        mcnemar=mcnemar(truth, predicted["challenger"], predicted["champion"]) if compared else None,
        calibration_error={
            name: round(calibration_error(predicted[key] == truth, contenders[key].scores), 6)
            for name, key in shown(contenders, best)
        },
        overlap=overlap_with(given, given.training),
        champion_overlap=overlap_with(given, given.champion_training) if given.champion_training else None,
        agreeing_nights=given.agreeing_nights,
    )


def shown(contenders: Collection[str], best: str) -> Iterator[tuple[str, str]]:
    """Names of contenders in the evidence, each with its own; the better baseline is `baseline`."""
    yield from ((name, name) for name in ("challenger", "champion") if name in contenders)
    yield "baseline", best


def indices_of(names: Collection[str], known: list[str]) -> Indices:
    """Places of names among the known ones, (N,)."""
    index = {name: k for k, name in enumerate(known)}
    return np.array([index[name] for name in names], np.int64)


def overlap_with(given: GateInput, training: Training) -> Overlap:
    """Overlap of the evaluation set with a version's training data."""
    ids = {v.video_id for v in given.eval_set.videos}
    groups = {group_hash(v.group) for v in given.eval_set.videos}
    return Overlap(len(ids & set(training.video_ids)), len(groups & set(training.group_hashes)))


def _p_at_least(hits: int, n: int, chance: float) -> float:
    """One-sided exact binomial test (p value)."""
    from scipy.stats import binomtest

    return float(binomtest(hits, n, chance, alternative="greater").pvalue) if n else 1.0
