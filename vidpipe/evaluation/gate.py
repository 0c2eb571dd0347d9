"""Promotion gate: non-inferiority or superiority test of a challenger against the champion.

Pure: predictions on the same evaluation set in, a decision with its reasons out. Everything that speaks
against a promotion is listed with its numbers, not only the first thing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from vidpipe.evaluation import label_set_evidence
from vidpipe.evaluation.evidence import Evidence, GateInput, evidence_of

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
class Verdict:
    """The gate's decision: promoted when `reasons` is empty."""

    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    evidence: Evidence


def judge(given: GateInput, policy: Policy) -> Verdict:
    """Decide on a promotion: every reason for refusal and every warning, with its numbers."""
    several = given.eval_set.multi_label
    evidence = label_set_evidence.evidence_of(given) if several else evidence_of(given)
    reasons = [
        *_leaks(evidence),
        *_too_small(given, evidence, policy),
        *_other_kind(given),
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
        several = given.eval_set.multi_label
        luck = label_set_evidence.luck_of_all_right(given) if several else evidence.chance**n
        if luck > SIGNIFICANCE:
            yield (
                f"the evaluation set is too small to decide: even {n} right predictions of {n} could be luck "
                f"(p = {luck:.2g})"
            )
    elif n < policy.min_videos:
        yield f"the evaluation set is too small to decide: {n} videos, at least {policy.min_videos} needed"
    elif evidence.difference and evidence.difference.groups < MIN_GROUPS:
        yield (
            f"the evaluation set is too small to decide: its {n} videos are of {evidence.difference.groups} "
            f"groups, at least {MIN_GROUPS} needed"
        )


def _other_kind(given: GateInput) -> Iterator[str]:
    if given.other_kind:
        mine, theirs = ("several labels", "one label")[:: 1 if given.eval_set.multi_label else -1]
        yield f"the challenger gives a video {mine}, the champion {theirs}: they cannot be compared"


def _missing_labels(given: GateInput) -> Iterator[str]:
    known = set(given.challenger.labels)
    unknown = sorted(set(given.eval_set.labels) - known)
    if unknown:
        videos = sum(bool({*unknown} & {*names}) for names in given.eval_set.names)
        yield f"the challenger does not know {_some(unknown)}: {videos} videos of the set count as wrong"
    lost = sorted(set(given.champion.labels) - known - set(unknown)) if given.champion else []
    if lost:
        yield f"the champion knows labels that the challenger does not: {_some(lost)}"


def _against_chance(evidence: Evidence) -> Iterator[str]:
    if evidence.p_chance > SIGNIFICANCE:
        yield (
            f"not better than chance: {evidence.challenger.measure} {evidence.challenger.headline:.3f} on "
            f"{evidence.challenger.n} videos, guessing gives {evidence.chance:.3f} "
            f"(p = {evidence.p_chance:.2g})"
        )


def _against_champion(evidence: Evidence, policy: Policy) -> Iterator[str]:
    found, champion = evidence.difference, evidence.champion
    if found is None or champion is None:
        return
    mine = evidence.challenger
    facts = f"{mine.measure} {mine.headline:.3f} against {champion.headline:.3f} on {champion.n} videos, "
    if policy.rule == "superior" and found.headline.low <= 0:
        assert evidence.mcnemar is not None
        yield (
            f"not shown to be better than the champion: {facts}difference {found.headline} includes 0 "
            f"(McNemar p = {evidence.mcnemar.p:.2g})"
        )
    elif found.headline.low < -policy.margin:
        yield (
            f"not shown to be as good as the champion: {facts}difference {found.headline} reaches below "
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
        mine = evidence.challenger
        if mine.headline < baseline.headline:
            yield (
                f"below its own baseline {BASELINES[name]}: {mine.measure} {mine.headline:.3f} "
                f"against {baseline.headline:.3f}"
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
