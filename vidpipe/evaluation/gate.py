"""Promotion gate: non-inferiority or superiority test of a challenger against the champion.

Pure: predictions on the same evaluation set in, a decision with its reasons out. Everything that speaks
against a promotion is listed with its numbers, not only the first thing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from vidpipe.evaluation.comparison import Difference, McNemar, mcnemar, paired_bootstrap
from vidpipe.metrics import Indices, calibration_error, scores
from vidpipe.records.models import EvaluationSet, Predictions, Scores
from vidpipe.splits import group_hash

SIGNIFICANCE = 0.01
"""A first champion's accuracy must beat chance with at most this probability of luck."""
MIN_GROUPS = 5
"""A bootstrap over fewer groups says nothing."""
CALIBRATION_SLACK = 0.05
"""A challenger whose calibration error exceeds the champion's by more gets a warning."""
_MENTIONED = 5
BASELINES = {"mean_linear": "mean + linear", "mean_std_linear": "mean and deviation + linear"}
"""In words."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Thresholds of the promotion gate."""

    rule: Literal["non-inferior", "superior"] = "non-inferior"
    margin: float = 0.03
    """Non-inferior: accuracy and macro F1 that may be lost, at the lower end of the interval."""
    min_videos: int = 20
    """A set of fewer videos cannot compare two versions."""
    label_floor: float = 0.0
    """Recall that every label must reach."""
    label_drop: float = 0.1
    """Recall that a label may lose against the champion; a single video is never held against it."""
    shadow_nights: int = 0
    """Nights on which the challenger must have agreed with the champion in the shadow."""
    strict: bool = False
    """What would be a warning refuses."""


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


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's decision: promoted when `reasons` is empty."""

    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    evidence: Evidence


def judge(given: GateInput, policy: Policy) -> Verdict:
    """Decide on a promotion: every reason for refusal and every warning, with its numbers."""
    evidence = _evidence(given)
    reasons = [
        *_leaks(evidence),
        *_too_small(given, evidence, policy),
        *_missing_labels(given),
        *_against_chance(evidence),
        *_against_champion(evidence, policy),
        *_label_floors(evidence, policy),
        *_shadow(given, policy),
    ]
    warnings = [
        *_against_baseline(evidence),
        *_calibration(evidence),
        *_champion_leaks(evidence),
        *_features(given),
    ]
    if policy.strict:
        reasons, warnings = [*reasons, *warnings], []
    return Verdict(tuple(reasons), tuple(warnings), evidence)


# -- numbers ------------------------------------------------------------------------------------


def _evidence(given: GateInput) -> Evidence:
    eval_set, champion = given.eval_set, given.champion
    contenders = {"challenger": given.challenger, **given.baselines}
    if champion is not None:
        contenders["champion"] = champion
    known = sorted(
        {*eval_set.labels, *(label for predictions in contenders.values() for label in predictions.labels)}
    )
    truth = _indices([v.label for v in eval_set.videos], known)
    predicted = {name: _indices(predictions.predicted, known) for name, predictions in contenders.items()}
    found = {name: scores(truth, indices, known) for name, indices in predicted.items()}
    baselines = {name: found[name] for name in given.baselines}
    best = max(baselines, key=lambda name: (baselines[name].accuracy, baselines[name].macro_f1))
    hits = round(found["challenger"].accuracy * len(truth))
    chance = float(np.bincount(truth).max() / len(truth)) if len(truth) else 1.0
    compared = champion is not None
    groups = _indices([v.group for v in eval_set.videos], sorted({v.group for v in eval_set.videos}))
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
            for name, key in _shown(contenders, best)
        },
        overlap=_overlap(given, given.training),
        champion_overlap=_overlap(given, given.champion_training) if given.champion_training else None,
        agreeing_nights=given.agreeing_nights,
    )


def _shown(contenders: Collection[str], best: str) -> Iterator[tuple[str, str]]:
    """Names of contenders in the evidence, each with its own; the better baseline is `baseline`."""
    yield from ((name, name) for name in ("challenger", "champion") if name in contenders)
    yield "baseline", best


def _indices(names: Collection[str], known: list[str]) -> Indices:
    index = {name: k for k, name in enumerate(known)}
    return np.array([index[name] for name in names], np.int64)


def _overlap(given: GateInput, training: Training) -> Overlap:
    ids = {v.video_id for v in given.eval_set.videos}
    groups = {group_hash(v.group) for v in given.eval_set.videos}
    return Overlap(len(ids & set(training.video_ids)), len(groups & set(training.group_hashes)))


def _p_at_least(hits: int, n: int, chance: float) -> float:
    """One-sided exact binomial test (p value)."""
    from scipy.stats import binomtest

    return float(binomtest(hits, n, chance, alternative="greater").pvalue) if n else 1.0


# -- reasons ------------------------------------------------------------------------------------


def _leaks(evidence: Evidence) -> Iterator[str]:
    found = evidence.overlap
    if found.videos or found.groups:
        yield (
            f"the evaluation set leaks: {found.videos} of its videos and {found.groups} of its groups "
            "were in the challenger's training data"
        )


def _too_small(given: GateInput, evidence: Evidence, policy: Policy) -> Iterator[str]:
    n = len(given.eval_set.videos)
    if evidence.champion is None:
        if evidence.chance**n > SIGNIFICANCE:
            yield (
                f"the evaluation set is too small to decide: even {n} right predictions of {n} could be luck "
                f"(p = {evidence.chance**n:.2g})"
            )
    elif n < policy.min_videos:
        yield f"the evaluation set is too small to decide: {n} videos, at least {policy.min_videos} needed"
    elif evidence.difference and evidence.difference.groups < MIN_GROUPS:
        yield (
            f"the evaluation set is too small to decide: its {n} videos are of {evidence.difference.groups} "
            f"groups, at least {MIN_GROUPS} needed"
        )


def _missing_labels(given: GateInput) -> Iterator[str]:
    known = set(given.challenger.labels)
    unknown = sorted(set(given.eval_set.labels) - known)
    if unknown:
        videos = sum(v.label in unknown for v in given.eval_set.videos)
        yield f"the challenger does not know {_some(unknown)}: {videos} videos of the set count as wrong"
    lost = sorted(set(given.champion.labels) - known - set(unknown)) if given.champion else []
    if lost:
        yield f"the champion knows labels that the challenger does not: {_some(lost)}"


def _against_chance(evidence: Evidence) -> Iterator[str]:
    if evidence.p_chance > SIGNIFICANCE:
        yield (
            f"not better than chance: accuracy {evidence.challenger.accuracy:.3f} on "
            f"{evidence.challenger.n} videos, guessing gives {evidence.chance:.3f} "
            f"(p = {evidence.p_chance:.2g})"
        )


def _against_champion(evidence: Evidence, policy: Policy) -> Iterator[str]:
    found, champion = evidence.difference, evidence.champion
    if found is None or champion is None:
        return
    mine = evidence.challenger
    facts = f"accuracy {mine.accuracy:.3f} against {champion.accuracy:.3f} on {champion.n} videos, "
    if policy.rule == "superior" and found.accuracy.low <= 0:
        assert evidence.mcnemar is not None
        yield (
            f"not shown to be better than the champion: {facts}difference {found.accuracy} includes 0 "
            f"(McNemar p = {evidence.mcnemar.p:.2g})"
        )
    elif found.accuracy.low < -policy.margin:
        yield (
            f"not shown to be as good as the champion: {facts}difference {found.accuracy} reaches below "
            f"-{policy.margin:g}"
        )
    if found.macro_f1.low < -policy.margin:
        yield (
            f"not shown to be as good as the champion over all labels: macro F1 "
            f"{mine.macro_f1:.3f} against {champion.macro_f1:.3f}, difference "
            f"{found.macro_f1} reaches below -{policy.margin:g}"
        )


def _label_floors(evidence: Evidence, policy: Policy) -> Iterator[str]:
    for label, mine in evidence.challenger.per_label.items():
        recall, support = mine["recall"], mine["support"]
        if not support:
            continue
        if recall < policy.label_floor:
            yield f"{label}: recall {recall:.3f} on {support} videos, the floor is {policy.label_floor:g}"
        if evidence.champion is None:
            continue
        lost = evidence.champion.per_label[label]["recall"] - recall
        if lost > policy.label_drop and round(lost * support) > 1:
            yield (
                f"{label}: recall falls from {recall + lost:.3f} to {recall:.3f} on {support} videos, "
                f"allowed is {policy.label_drop:g}"
            )


def _shadow(given: GateInput, policy: Policy) -> Iterator[str]:
    if given.champion is not None and given.agreeing_nights < policy.shadow_nights:
        yield (
            f"{given.agreeing_nights} nights in the shadow on which it agreed with the champion, "
            f"{policy.shadow_nights} needed"
        )


# -- warnings -----------------------------------------------------------------------------------


def _against_baseline(evidence: Evidence) -> Iterator[str]:
    for name, baseline in evidence.baselines.items():
        if evidence.challenger.accuracy < baseline.accuracy:
            yield (
                f"below its own baseline {BASELINES[name]}: accuracy {evidence.challenger.accuracy:.3f} "
                f"against {baseline.accuracy:.3f}"
            )


def _calibration(evidence: Evidence) -> Iterator[str]:
    mine, theirs = (evidence.calibration_error.get(name) for name in ("challenger", "champion"))
    if mine is not None and theirs is not None and mine > theirs + CALIBRATION_SLACK:
        yield f"its scores mean less: calibration error {mine:.3f} against the champion's {theirs:.3f}"


def _champion_leaks(evidence: Evidence) -> Iterator[str]:
    found = evidence.champion_overlap
    if found and (found.videos or found.groups):
        yield (
            f"the champion has an advantage: {found.videos} videos and {found.groups} groups of the set were "
            "in its training data"
        )


def _features(given: GateInput) -> Iterator[str]:
    if given.champion is not None and not given.same_features:
        yield "it reads another feature set than the champion: the archive must be extracted again"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MENTIONED} more" if len(names) > _MENTIONED else ""
    return ", ".join(map(repr, names[:_MENTIONED])) + more
