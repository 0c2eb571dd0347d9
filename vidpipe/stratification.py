"""Iterative stratification of videos with several labels into folds, whole groups at a time.

The rarest label is dealt first, to the folds that lack most of it, since of a common one enough is left to
balance with. A group brings all its videos, and so all their labels.

Source: Sechidis, Tsoumakas and Vlahavas, On the Stratification of Multi-Label Data (2011), algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def stratified_label_sets(
    label_sets: Sequence[Sequence[str]], groups: Sequence[str], count: int, seed: int
) -> npt.NDArray[np.int64]:
    """Fold of each video, (N,), from 0.

    Args:
        label_sets: Labels of each video.
        groups: Group of each video.
        count: Number of folds.
        seed: Breaks ties.
    """
    names = sorted({name for labels in label_sets for name in labels})
    has = np.array([[name in labels for name in names] for labels in label_sets], np.int64)  # (N, K)
    _, group_of = np.unique(groups, return_inverse=True)
    G = int(group_of.max()) + 1
    holds, sizes = np.zeros((G, len(names)), np.int64), np.bincount(group_of, minlength=G)
    np.add.at(holds, group_of, has)
    lacking, room = np.tile(holds.sum(0) / count, (count, 1)), np.full(count, sizes.sum() / count)
    rng, fold_of, free = np.random.default_rng(seed), np.full(G, -1, np.int64), np.ones(G, np.bool_)
    while free.any():
        label, dealt = _next_groups(holds, sizes, free)
        for group in dealt:
            wish = room if label is None else lacking[:, label]
            fold = int(np.lexsort((rng.random(count), room, wish))[-1])
            fold_of[group], free[group] = fold, False
            lacking[fold] -= holds[group]
            room[fold] -= sizes[group]
    found: npt.NDArray[np.int64] = fold_of[group_of]
    return found


def _next_groups(
    holds: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], free: npt.NDArray[np.bool_]
) -> tuple[int | None, list[int]]:
    """The rarest label among free groups, and the groups that have it, those with most of it first."""
    left = np.where(free[:, None], holds, 0)
    videos = left.sum(0)
    if not videos.any():
        return None, np.flatnonzero(free).tolist()
    label = int(np.argmin(np.where(videos > 0, videos, np.iinfo(np.int64).max)))
    having = np.flatnonzero(left[:, label])
    return label, having[np.lexsort((-sizes[having], -left[having, label]))].tolist()
