"""Champion against challenger: may this version serve?

Pure: numbers in, a decision with its reasons out. Both models are judged on the same test videos, those of
the challenger's test split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vidpipe.records import Scores

SIGNIFICANCE = 0.05
"""A first champion's accuracy must beat chance with at most this probability of luck."""
TOLERANCE = 0.0
"""How much test accuracy a challenger may lose against the champion."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a decision rests on."""

    challenger: Scores
    baseline: Scores
    champion: Scores | None
    chance: float
    """Share of the commonest label among the test videos: what guessing gives."""
    p_chance: float
    """Probability that guessing does as well as the challenger."""

    def to_dict(self) -> dict[str, Any]:
        """As stored in `promotions.evidence`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer: promoted when `reasons` is empty."""

    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    evidence: Evidence


def judge(challenger: Scores, baseline: Scores, champion: Scores | None) -> Verdict:
    """Compare the scores on one test split; every reason for refusal is listed, with its numbers."""
    chance = _chance(challenger.per_label)
    p_chance = _p_at_least(round(challenger.accuracy * challenger.n), challenger.n, chance)
    evidence = Evidence(challenger, baseline, champion, chance, p_chance)
    reasons = [*_against_chance(evidence), *_against_champion(evidence)]
    warnings = _against_baseline(evidence)
    return Verdict(tuple(reasons), tuple(warnings), evidence)


def _chance(per_label: Mapping[str, Mapping[str, float]]) -> float:
    supports = [s["support"] for s in per_label.values()]
    return max(supports) / sum(supports) if sum(supports) else 1.0


def _p_at_least(hits: int, n: int, chance: float) -> float:
    """One-sided exact binomial test."""
    from scipy.stats import binomtest

    return float(binomtest(hits, n, chance, alternative="greater").pvalue) if n else 1.0


def _against_chance(evidence: Evidence) -> list[str]:
    if evidence.p_chance <= SIGNIFICANCE:
        return []
    return [
        f"not better than chance: accuracy {evidence.challenger.accuracy:.3f} on {evidence.challenger.n} "
        f"test videos, guessing gives {evidence.chance:.3f} (p = {evidence.p_chance:.2g})"
    ]


def _against_champion(evidence: Evidence) -> list[str]:
    champion, challenger = evidence.champion, evidence.challenger
    if champion is None or challenger.accuracy >= champion.accuracy - TOLERANCE:
        return []
    return [
        f"worse than the champion on the same {challenger.n} test videos: accuracy "
        f"{challenger.accuracy:.3f} against {champion.accuracy:.3f}"
    ]


def _against_baseline(evidence: Evidence) -> list[str]:
    if evidence.challenger.accuracy >= evidence.baseline.accuracy:
        return []
    return [
        f"below its own mean + linear baseline: accuracy {evidence.challenger.accuracy:.3f} against "
        f"{evidence.baseline.accuracy:.3f}"
    ]
