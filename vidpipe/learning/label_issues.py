"""Confident learning: out-of-fold scores rank labelled videos by how likely their label is wrong.

A video is scored by linear heads that have not seen it, nor any video of its group. It disagrees where
another label scores highest, and the lower its own label scores against that one, the likelier it is wrong.
An issue is confident where the other label scores at least as high as it does on average for videos that
have it.

Source: Northcutt, Jiang and Chuang, Confident learning: estimating uncertainty in dataset labels (2021); Kuan
and Mueller, Model-agnostic label quality scoring to detect real-world label errors (2022), for the margin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidpipe import cores
from vidpipe.learning.cross_fitting import LINEAR_PARTS, OutOfFold, cross_fitted, linear_parts
from vidpipe.learning.training import TrainingConfig
from vidpipe.records.models import FeatureLayout, Sequences
from vidpipe.records.videos import Doubles

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LabelQuality:
    """Label quality scores of N videos: own label against the best other one."""

    suggested: Indices
    """The other label with the highest score, (N,)."""
    own_scores: Doubles
    other_scores: Doubles
    """Out-of-fold scores of the given and of the suggested label, (N,), 0 to 1."""
    is_confident: npt.NDArray[np.bool_]
    """The suggested label scores as videos of that label do, (N,)."""

    @property
    def margin(self) -> Doubles:
        """Score of the given label minus that of the suggested one, (N,), -1 to 1: below 0 it disagrees."""
        return self.own_scores - self.other_scores


def out_of_fold_scores(data: Sequences, folds: Indices, layout: FeatureLayout | None = None) -> Doubles:
    """Cross-fitted probabilities (N, K) of the linear parts, blended as in training.

    They train in seconds, and forget no video by chance.

    Args:
        data: All labelled videos.
        folds: In which fold each is held out, (N,), from 0.
        layout: Of the features.
    """
    with cores.one_thread():
        _, parts = linear_parts(data, folds, TrainingConfig(), layout, LINEAR_PARTS)
    return cross_fitted(OutOfFold(parts, data.targets, folds))


def label_quality(probabilities: Doubles, targets: Indices) -> LabelQuality:
    """Compare each video's label with the best other one.

    Args:
        probabilities: Of N videos and K >= 2 labels, each by a model that has not seen the video.
        targets: The given labels, (N,).
    """
    N, K = probabilities.shape
    rows = np.arange(N)
    own = probabilities[rows, targets]
    others = probabilities.copy()
    others[rows, targets] = -1.0
    suggested = others.argmax(1)
    best = others[rows, suggested]
    usual = np.array([own[targets == k].mean() if (targets == k).any() else np.inf for k in range(K)])
    return LabelQuality(suggested, own, best, (best > own) & (best >= usual[suggested]))


def judged(targets: Indices, folds: Indices) -> npt.NDArray[np.bool_]:
    """Whether each video's label has videos in another fold, (N,): else no model could have learnt it."""
    homes = {int(k): set(folds[targets == k].tolist()) for k in np.unique(targets)}
    return np.array([bool(homes[int(k)] - {int(f)}) for k, f in zip(targets, folds, strict=True)])
