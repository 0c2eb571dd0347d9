"""Iterative stratification: groups stay whole, and rare labels are in every fold."""

from __future__ import annotations

import numpy as np

from vidpipe.stratification import stratified_label_sets

RNG = np.random.default_rng(0)
HAS = RNG.random((600, 5)) < [0.5, 0.3, 0.1, 0.05, 0.02]
SETS = [[f"label {k}" for k in np.flatnonzero(row)] for row in HAS]
GROUPS = [f"g{n // 2}" for n in range(600)]


def test_groups_stay_whole_and_every_label_is_spread_over_all_folds() -> None:
    folds = stratified_label_sets(SETS, GROUPS, 5, 0)
    assert all(len(set(folds[2 * g : 2 * g + 2])) == 1 for g in range(300))
    assert np.bincount(folds).min() > 100
    counts = np.array([HAS[folds == fold].sum(0) for fold in range(5)])
    spread = counts.max(0) - counts.min(0)
    assert (spread[2:] <= 3).all(), counts
    assert counts.min() >= 1


def test_the_same_seed_gives_the_same_folds_and_videos_without_a_label_are_dealt_too() -> None:
    sets = [*SETS[:50], *[()] * 50]
    groups = [str(n) for n in range(100)]
    one, other = (stratified_label_sets(sets, groups, 3, seed) for seed in (1, 1))
    assert np.array_equal(one, other) and set(one.tolist()) == {0, 1, 2}
    assert np.bincount(one).max() - np.bincount(one).min() <= 4
