"""Active learning: choose diverse, uncertain videos to label next (weighted farthest-first traversal)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vidpipe.records.videos import Floats


def pick(usefulness: Sequence[float], means: Floats, limit: int) -> list[int]:
    """Weighted farthest-first traversal: the most useful video, then the most useful far from earlier picks.

    What counts is usefulness times the distance to the nearest pick, so that of ten near copies one is asked.

    Args:
        usefulness: Of N videos, above 0.
        means: (N, D), each video's mean features.
        limit: How many to pick, at most.

    Returns:
        Indices, in the order in which they were picked.

    Source: Gonzalez, Clustering to minimize the maximum intercluster distance, 1985.
    """
    worth = np.asarray(usefulness, np.float64)
    directions = _directions(means)
    free = np.ones(len(worth), bool)
    nearest = np.ones(len(worth))
    picked: list[int] = []
    for _ in range(min(limit, len(worth))):
        best = int(np.argmax(np.where(free, worth * nearest, -1.0)))
        picked.append(best)
        free[best] = False
        nearest = np.minimum(nearest, (1 - directions @ directions[best]) / 2)
    return picked


def _directions(means: Floats) -> npt.NDArray[np.float64]:
    """Centred and L2-normalised vectors (N, D); uncentred, positive features all point the same way."""
    centred = np.asarray(means, np.float64)
    centred = centred - centred.mean(0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    directions: npt.NDArray[np.float64] = centred / np.maximum(lengths, 1e-12)
    return directions
