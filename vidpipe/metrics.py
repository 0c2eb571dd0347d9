"""Classification metrics: confusion matrix, accuracy, macro F1, reliability and calibration error (ECE)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vidpipe.records.models import Scores
from vidpipe.records.videos import Floats

Indices = npt.NDArray[np.int64]
CALIBRATION_BINS = 10
TOP = 3


def confusion_matrix(truth: Indices, predicted: Indices, K: int) -> Indices:
    """Counts, shape (K, K): rows are true labels, columns predicted ones."""
    matrix = np.zeros((K, K), np.int64)
    np.add.at(matrix, (truth, predicted), 1)
    return matrix


def scores(truth: Indices, predicted: Indices, labels: Sequence[str]) -> Scores:
    """Accuracy, macro F1 over the labels that occur in `truth`, and per-label scores.

    Args:
        truth: Shape (N,), indices into `labels`.
        predicted: Shape (N,), indices into `labels`.
        labels: K label names.
    """
    matrix = confusion_matrix(truth, predicted, len(labels))
    hits = np.diag(matrix).astype(float)
    support, claimed = matrix.sum(1), matrix.sum(0)
    precision = np.divide(hits, claimed, out=np.zeros_like(hits), where=claimed > 0)
    recall = np.divide(hits, support, out=np.zeros_like(hits), where=support > 0)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(hits), where=both > 0)
    per_label = {
        label: {
            "precision": float(precision[k]),
            "recall": float(recall[k]),
            "f1": float(f1[k]),
            "support": int(support[k]),
        }
        for k, label in enumerate(labels)
    }
    seen = support > 0
    n = len(truth)
    return Scores(
        n=n,
        accuracy=float(hits.sum() / n) if n else 0.0,
        macro_f1=float(f1[seen].mean()) if seen.any() else 0.0,
        per_label=per_label,
    )


def graded(truth: Indices, given: Floats, labels: Sequence[str]) -> Scores:
    """Accuracy, macro F1 and per-label scores of a model's softmax probabilities.

    Args:
        truth: Shape (N,), indices into `labels`.
        given: Probability of each label, (N, K).
        labels: K label names.
    """
    best = given.argmax(1)
    among = np.argsort(-given, axis=1, kind="stable")[:, :TOP] == truth[:, None]
    return replace(
        scores(truth, best, labels),
        top_3=float(among.any(1).mean()) if len(truth) else 0.0,
        calibration_error=calibration_error(best == truth, given.max(1)),
    )


@dataclass(frozen=True, slots=True)
class ScoreBin:
    """One bin of the reliability diagram: predictions whose score lies within one tenth."""

    score: float
    """Mean."""
    right: float
    """Share."""
    videos: int


def reliability(right: npt.NDArray[np.bool_], scores: Floats) -> list[ScoreBin]:
    """Reliability diagram: mean score and accuracy in each tenth of the scores; empty bins are left out.

    Args:
        right: Whether each prediction is right, (N,).
        scores: Softmax probability of each prediction, (N,).
    """
    bins = np.minimum((scores * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        ScoreBin(float(scores[bins == b].mean()), float(right[bins == b].mean()), int((bins == b).sum()))
        for b in np.unique(bins)
    ]


def calibration_error(right: npt.NDArray[np.bool_], scores: Floats) -> float:
    """Expected calibration error (ECE): mean gap between score and accuracy over the bins, weighted by size.

    Source: Guo et al., On Calibration of Modern Neural Networks (2017), eq. 3, ten bins of equal width.

    Args:
        right: Whether each prediction is right, (N,).
        scores: Softmax probability of each prediction, (N,).
    """
    return sum(abs(b.right - b.score) * b.videos / len(right) for b in reliability(right, scores))
