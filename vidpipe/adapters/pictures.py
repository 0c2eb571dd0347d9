"""Pictures for people who look at MLflow runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusion(labels: Sequence[str], matrix: npt.NDArray[np.int64]) -> Figure:
    """A confusion matrix (K, K), rows true, columns predicted; the colour is the share of the row."""
    from matplotlib.figure import Figure

    K = len(labels)
    side = max(4.0, 0.5 * K + 2)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(matrix / np.maximum(1, matrix.sum(1, keepdims=True)), cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(K), labels, rotation=60, ha="right")
    axes.set_yticks(range(K), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for row in range(K):
        for column in range(K):
            if matrix[row, column]:
                axes.text(column, row, str(matrix[row, column]), ha="center", va="center", fontsize=8)
    return figure
