"""Paired comparison of two classifiers: bootstrap confidence intervals and McNemar's exact test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidpipe.metrics import Indices
from vidpipe.records.videos import Doubles

DRAWS = 2000
CONFIDENCE = 0.95
_CHUNK = 100
"""Draws computed at once: bounds the memory, changes no number."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


@dataclass(frozen=True, slots=True)
class Difference:
    """Challenger minus champion: accuracy and macro F1, with confidence intervals."""

    accuracy: Interval
    macro_f1: Interval
    groups: int
    """Independent groups of videos that were drawn from."""

    @property
    def headline(self) -> Interval:
        """The difference that decides."""
        return self.accuracy


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's test: numbers of videos on which exactly one model is right, and the p value."""

    only_challenger: int
    only_champion: int
    p: float
    """Two-sided, exact."""


def paired_bootstrap(
    truth: Indices, challenger: Indices, champion: Indices, groups: Indices, K: int, *, seed: int = 0
) -> Difference:
    """Paired bootstrap of the differences in accuracy and macro F1, with 95 % percentile intervals.

    Both models see the same draw. Whole groups are drawn, with replacement: videos of one camera are
    no independent witnesses. Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), ch. 13;
    for clusters, Davison & Hinkley, Bootstrap Methods (1997), sec. 3.8.

    Args:
        truth: Shape (N,), indices below K.
        challenger: Predicted indices, (N,).
        champion: Predicted indices, (N,).
        groups: Group of each video, (N,), numbered from 0.
        K: Number of labels.
        seed: Of the draws.
    """
    mine, theirs = (_Contender(truth, predicted, K) for predicted in (challenger, champion))
    found, G = bootstrap(lambda weights: mine.scores(weights) - theirs.scores(weights), groups, seed=seed)
    return Difference(found[0], found[1], G)


def bootstrap(
    statistics: Callable[[Doubles], Doubles], groups: Indices, *, seed: int = 0
) -> tuple[list[Interval], int]:
    """Bootstrap by group of some statistics: each with its 95 % percentile interval, and how many groups.

    Args:
        statistics: M of them, (draws, M), for weights of the videos (draws, N).
        groups: Group of each video, (N,), numbered from 0.
        seed: Of the draws.
    """
    G = int(groups.max()) + 1 if len(groups) else 0
    observed = statistics(np.ones((1, len(groups))))[0]
    if not G:
        return [Interval(0.0, -1.0, 1.0)] * len(observed), 0
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(G, np.full(G, 1 / G), size=DRAWS)  # (draws, G): how often each group
    parts = [
        statistics(drawn[start : start + _CHUNK][:, groups].astype(float))
        for start in range(0, DRAWS, _CHUNK)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(parts), [tail, 1 - tail], axis=0)
    return [Interval(*map(float, three)) for three in zip(observed, low, high, strict=True)], G


def accuracy_interval(right: npt.NDArray[np.bool_], groups: Indices, *, seed: int = 0) -> Interval:
    """Accuracy with its 95 % percentile interval; whole groups are drawn, as in `paired_bootstrap`.

    Args:
        right: Whether each prediction is right, (N,), N of 1 or more.
        groups: Group of each video, (N,), numbered from 0.
        seed: Of the draws.
    """
    G = int(groups.max()) + 1
    hits, sizes = np.bincount(groups, right, G), np.bincount(groups, minlength=G)
    drawn = np.random.default_rng(seed).multinomial(G, np.full(G, 1 / G), size=DRAWS)  # (draws, G)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile((drawn @ hits) / (drawn @ sizes), [tail, 1 - tail])
    return Interval(float(right.mean()), float(low), float(high))


def mcnemar(truth: Indices, challenger: Indices, champion: Indices) -> McNemar:
    """McNemar's exact test (binomial, two-sided) on the videos that only one of the two models gets right.

    Source: McNemar, Psychometrika 12 (1947); the exact binomial form.
    """
    return mcnemar_of(challenger == truth, champion == truth)


def mcnemar_of(right: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> McNemar:
    """McNemar's exact test of which videos the challenger and the champion get right, (N,)."""
    from scipy.stats import binomtest

    mine, theirs = int((right & ~other).sum()), int((other & ~right).sum())
    p = float(binomtest(mine, mine + theirs, 0.5).pvalue) if mine + theirs else 1.0
    return McNemar(mine, theirs, p)


class _Contender:
    """One model's predictions as indicator matrices, so that bootstrap scores are a matrix product."""

    def __init__(self, truth: Indices, predicted: Indices, K: int) -> None:
        one = np.eye(K)
        self._right = (truth == predicted).astype(float)
        self._truth, self._claimed = one[truth], one[predicted]

    def scores(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Accuracy and macro F1, (draws, 2), for bootstrap weights (draws, N)."""
        support = weights @ self._truth
        hits = weights @ (self._truth * self._right[:, None])
        both = support + weights @ self._claimed
        f1 = np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 0)
        seen = support > 0
        accuracy = (weights @ self._right) / np.maximum(1, weights.sum(1))
        return np.stack([accuracy, (f1 * seen).sum(1) / np.maximum(1, seen.sum(1))], axis=1)
