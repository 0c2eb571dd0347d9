"""Multi-label metrics: mean average precision (mAP), macro and micro F1, exact match."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vidpipe.metrics import TOP, Indices, calibration_error
from vidpipe.records.models import LabelSetScores
from vidpipe.records.videos import Doubles, Floats


def label_set_scores(
    truth: Indices, given: Floats, thresholds: Sequence[float], labels: Sequence[str]
) -> LabelSetScores:
    """Scores of a model that may give a video several labels.

    Args:
        truth: Which labels each video has, (N, K).
        given: Probability of each label, (N, K).
        thresholds: A label holds from there on, K.
        labels: K label names.
    """
    over = over_thresholds(given, thresholds)
    counts = np.ones((1, len(truth)))
    precise = average_precisions(truth, given, counts)[0]
    hits, support, claimed = (truth * over).sum(0), truth.sum(0), over.sum(0)
    f1 = f1_scores(hits, support, claimed)
    per_label = {
        label: {
            "precision": float(hits[k] / claimed[k]) if claimed[k] else 0.0,
            "recall": float(hits[k] / support[k]) if support[k] else 0.0,
            "f1": float(f1[k]),
            "average_precision": float(precise[k]) if support[k] else 0.0,
            "threshold": float(thresholds[k]),
            "support": int(support[k]),
        }
        for k, label in enumerate(labels)
    }
    seen = support > 0
    return LabelSetScores(
        n=len(truth),
        accuracy=float((truth == over).all(1).mean()) if len(truth) else 0.0,
        macro_f1=float(f1[seen].mean()) if seen.any() else 0.0,
        per_label=per_label,
        top_3=_among_three(truth, given),
        calibration_error=calibration_error((truth > 0).ravel(), given.ravel()) if len(truth) else None,
        mean_average_precision=mean_average_precision(truth, given),
        micro_f1=float(f1_scores(hits.sum(), support.sum(), claimed.sum())),
    )


def _among_three(truth: Indices, given: Floats) -> float:
    """Share of true labels that are among their video's three best."""
    best = np.argsort(-given, axis=1, kind="stable")[:, :TOP]
    return float(np.take_along_axis(truth, best, 1).sum() / max(1, truth.sum()))


def over_thresholds(given: Floats, thresholds: Sequence[float]) -> npt.NDArray[np.bool_]:
    """Whether each label holds, (N, K)."""
    found: npt.NDArray[np.bool_] = given >= np.asarray(thresholds, given.dtype)
    return found


def mean_average_precision(truth: Indices, given: Floats | Doubles) -> float:
    """Mean of the average precisions of the labels that occur, 0 where none does."""
    found = average_precisions(truth, given, np.ones((1, len(truth))))[0]
    return float(np.nanmean(found)) if truth.any() else 0.0


def f1_scores(hits: Doubles | Indices, support: Doubles | Indices, claimed: Doubles | Indices) -> Doubles:
    """F1 of numbers of hits, true ones and predicted ones; 0 where there is neither."""
    both = np.asarray(support + claimed, np.float64)
    return np.divide(2.0 * hits, both, out=np.zeros_like(both), where=both > 0)


def average_precisions(truth: Indices, given: Floats | Doubles, weights: Doubles) -> Doubles:
    """Average precision of each label, (draws, K), for weights of the videos (draws, N); nan without any.

    Videos of equal score are taken together, as scikit-learn does.

    Source: Manning, Raghavan and Schuetze, Introduction to Information Retrieval (2008), section 8.4.
    """
    found = [_average_precision(y, p, weights) for y, p in zip(truth.T, given.T, strict=True)]
    return np.stack(found, axis=1)


def _average_precision(y: Indices, p: Floats | Doubles, weights: Doubles) -> Doubles:
    order = np.argsort(-p, kind="stable")
    w, scores = weights[:, order], p[order]
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))  # of the videos with one score
    hits, shown = np.cumsum(w * y[order], axis=1)[:, last], np.cumsum(w, axis=1)[:, last]
    precision = np.divide(hits, shown, out=np.zeros_like(hits), where=shown > 0)
    more = np.diff(hits, axis=1, prepend=0.0)
    with np.errstate(invalid="ignore"):
        found: Doubles = (more * precision).sum(1) / hits[:, -1]
    return found
