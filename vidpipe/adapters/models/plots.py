"""Matplotlib figures for MLflow runs: confusion matrix, per-label scores, reliability, attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vidpipe.metrics import confusion_matrix, reliability
from vidpipe.records.models import AttentionStrip, ScoredVideos
from vidpipe.records.videos import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TALL = 0.35
"""Inches for a label's row."""


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def of_scores(scored: ScoredVideos) -> dict[str, Figure]:
    """Figures of a model's scores by name: reliability diagram, and confusion matrix of one label a video."""
    if scored.truth.ndim == 2:
        return {"calibration": calibration((scored.truth > 0).ravel(), scored.given.ravel())}
    best, top = scored.given.argmax(1), scored.given.max(1, initial=0.0)
    matrix = confusion_matrix(scored.truth, best, len(scored.labels))
    return {
        "confusion": confusion(scored.labels, matrix),
        "calibration": calibration(best == scored.truth, top),
    }


def confusion(labels: Sequence[str], matrix: npt.NDArray[np.int64]) -> Figure:
    """Plot a confusion matrix (K, K), rows true, columns predicted; the colour is the share of the row."""
    K = len(labels)
    side = max(4.0, 0.5 * K + 2)
    figure = _figure(side, side)
    axes = figure.subplots()
    axes.imshow(matrix / np.maximum(1, matrix.sum(1, keepdims=True)), cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(K), labels, rotation=60, ha="right")
    axes.set_yticks(range(K), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for row in range(K):
        for column in range(K):
            if n := matrix[row, column]:
                dark = n > matrix[row].sum() / 2
                axes.text(
                    column, row, str(n), ha="center", va="center", fontsize=8, color="w" if dark else "k"
                )
    return figure


def per_label(found: Mapping[str, Mapping[str, float]]) -> Figure:
    """Plot precision and recall of each label, the worst recall on top."""
    labels = sorted(found, key=lambda label: (-found[label]["recall"], label))
    figure = _figure(7, max(2.5, TALL * len(labels) + 1.2))
    axes = figure.subplots()
    places = np.arange(len(labels))
    for name, shift, colour in (("recall", 0.2, "tab:blue"), ("precision", -0.2, "tab:orange")):
        axes.barh(places + shift, [found[label][name] for label in labels], 0.38, color=colour, label=name)
    axes.set_yticks(places, labels)
    axes.set_xlim(0, 1)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower left")
    return figure


def calibration(right: npt.NDArray[np.bool_], scores: Floats) -> Figure:
    """Plot a reliability diagram: accuracy over score; on the diagonal scores are calibrated.

    Args:
        right: Whether each prediction is right, (N,).
        scores: Probability of each prediction, (N,).
    """
    bins = reliability(right, scores)
    figure = _figure(5, 5)
    share, count = figure.subplots(2, height_ratios=(3, 1), sharex=True)
    share.plot([0, 1], [0, 1], color="grey", linestyle=":")
    share.plot([b.score for b in bins], [b.right for b in bins], marker="o")
    share.set_ylabel("share of right answers")
    share.set_ylim(0, 1.02)
    count.bar([b.score for b in bins], [b.videos for b in bins], 0.06, color="tab:grey")
    count.set_ylabel("videos")
    count.set_xlabel("score")
    count.set_xlim(0, 1)
    return figure


def attention(strips: Sequence[AttentionStrip]) -> Figure:
    """Plot the attention weights of each video's frames, with pictures of some above.

    Their places are given: to lay out so many axes takes longer than all other figures of a training.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 2.6 * len(strips)))
    parts = figure.subfigures(len(strips), 1, squeeze=False)[:, 0]
    for part, strip in zip(parts, strips, strict=True):
        _strip(part, strip)
    return figure


def _strip(part: Any, strip: AttentionStrip) -> None:
    from PIL import Image

    part.suptitle(strip.title, fontsize=9)
    places = {"left": 0.08, "right": 0.99, "bottom": 0.1, "top": 0.84, "hspace": 0.12, "wspace": 0.03}
    grid = part.add_gridspec(2, len(strip.pictures), **places)
    for column, (at_s, jpeg) in enumerate(strip.pictures):
        axes = part.add_subplot(grid[0, column])
        axes.imshow(Image.open(BytesIO(jpeg)))
        axes.set_xticks([])  # they would be laid out though they are not drawn
        axes.set_yticks([])
        axes.set_axis_off()
        axes.set_title(f"{at_s:.1f} s", fontsize=7)
    weights = part.add_subplot(grid[1, :])
    weights.fill_between(strip.times_s, strip.weights, step="mid", alpha=0.6)
    weights.axhline(1 / len(strip.weights), color="grey", linestyle=":")
    weights.set_ylim(bottom=0)
    weights.set_ylabel("attention", fontsize=8)
    weights.tick_params(labelsize=7)
