"""Platt scaling of each label's score and its decision threshold by F1, from out-of-fold scores.

Where a video may have several labels, each label is a question of its own: is it over its threshold? A common
label and a rare one, a loud one and one that hides, need different thresholds. With few positive videos the
scale is held near 1 and the shift near 0.

Source: Platt, Probabilistic Outputs for Support Vector Machines (1999); Lipton, Elkan and Naryanaswamy,
Optimal Thresholding of Classifiers to Maximize F1 Measure (2014), for half the best F1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from vidpipe.learning.objectives import Indices, Sigmoid
from vidpipe.records.models import REGISTERED, LabelDecisions
from vidpipe.records.videos import Doubles

PRIOR = 2.0
"""Precision of scale and shift about 1 and 0: as strong as some eight videos whose score is a half."""
STEPS = 30
"""Newton steps; the problem is convex in two variables."""
UNDECIDED = 0.5
"""Threshold of a label without a positive out-of-fold video."""


def decide(
    blended: Doubles, parts: Mapping[str, Doubles], targets: Indices, folds: Indices
) -> tuple[LabelDecisions, Doubles, npt.NDArray[np.bool_]]:
    """Calibration and thresholds of every label; and for the same videos, as if held out, what they give.

    Args:
        blended: Out-of-fold log odds of the blend, (n, K).
        parts: The same of each part by name.
        targets: Which labels each video has, (n, K).
        folds: With which fold each video was held out, (n,).

    Returns:
        The decisions; calibrated probabilities and whether each label is over its threshold, both (n, K) and
        by what the other folds chose.
    """
    calibration = platt(blended, targets)
    thresholds = {REGISTERED: best_thresholds(calibrated(blended, calibration), targets)}
    thresholds |= {name: best_thresholds(_logistic(z), targets) for name, z in parts.items()}
    scale, shift = calibration
    decisions = LabelDecisions(
        _rounded(scale), _rounded(shift), {name: _rounded(chosen) for name, chosen in thresholds.items()}
    )
    given, over = np.zeros_like(blended), np.zeros(blended.shape, np.bool_)
    numbers = np.unique(folds)
    for fold in numbers:
        here = folds == fold
        others = here if len(numbers) == 1 else ~here
        of_others = platt(blended[others], targets[others])
        chosen = best_thresholds(calibrated(blended[others], of_others), targets[others])
        given[here] = calibrated(blended[here], of_others)
        over[here] = given[here] >= chosen
    return decisions, given, over


def platt(logits: Doubles, targets: Indices) -> tuple[Doubles, Doubles]:
    """Scale and shift of each label's log odds, both (K,), with the highest likelihood of the truth.

    Args:
        logits: Out-of-fold log odds, (n, K).
        targets: Which labels each video has, (n, K).
    """
    truth = Sigmoid().smoothed(targets, targets.shape[1])
    scale, shift = np.ones(logits.shape[1]), np.zeros(logits.shape[1])
    for _ in range(STEPS):
        p = _logistic(logits * scale + shift)
        off, bend = p - truth, p * (1 - p)
        slope_a, slope_b = (off * logits).sum(0) + PRIOR * (scale - 1), off.sum(0) + PRIOR * shift
        aa, ab, bb = (bend * logits**2).sum(0) + PRIOR, (bend * logits).sum(0), bend.sum(0) + PRIOR
        det = aa * bb - ab**2
        step_a, step_b = (bb * slope_a - ab * slope_b) / det, (aa * slope_b - ab * slope_a) / det
        longest = np.maximum(
            np.maximum(np.abs(step_a), np.abs(step_b)), 1.0
        )  # no step leaves the neighbourhood
        scale, shift = scale - step_a / longest, shift - step_b / longest
    return np.maximum(scale, 0.0), shift


def calibrated(logits: Doubles, calibration: tuple[Doubles, Doubles]) -> Doubles:
    """Probabilities (n, K) of log odds after Platt scaling."""
    scale, shift = calibration
    return _logistic(logits * scale + shift)


def best_thresholds(probabilities: Doubles, targets: Indices) -> Doubles:
    """For each label the threshold of the highest F1, (K,), half-way between two scores.

    Of several as good the one nearest to half that F1, which is the best one where scores are calibrated.
    """
    found = [_best_threshold(p, y) for p, y in zip(probabilities.T, targets.T, strict=True)]
    return np.array(found)


def _best_threshold(p: Doubles, y: Indices) -> float:
    if not y.any():
        return UNDECIDED
    order = np.argsort(-p, kind="stable")
    scores, hits = p[order], np.cumsum(y[order])
    f1 = 2 * hits / (np.arange(1, len(p) + 1) + y.sum())
    below = np.append(scores[1:], 0.0)
    between = scores > below  # videos with one score stand on one side
    candidates, f1 = ((scores + below) / 2)[between], f1[between]
    best = f1.max()
    good = candidates[f1 >= best - 1e-12]
    return float(good[np.argmin(np.abs(good - best / 2))])


def _rounded(values: Doubles) -> tuple[float, ...]:
    return tuple(round(float(x), 9) for x in values)


def _logistic(x: Doubles) -> Doubles:
    found: Doubles = 0.5 * (1 + np.tanh(x / 2))
    return found
