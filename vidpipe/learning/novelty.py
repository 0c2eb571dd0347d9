"""Novelty detection: videos unlike all that a model was trained on (none of these).

Two distances of its mean features, in the training videos' own scale: to the fifth nearest of them, whatever
its label, and to the nearest label's centre in units of the scatter about centres (Mahalanobis). The first
tells videos of another world, the second those of another label. Both are compared with what out-of-fold
training videos have.

Principal axes lie along the videos that they were fitted on: those are far out along them and leave little
beside them, while later videos are near and leave more. So the second distance also counts what the axes
leave, with the weight at which training videos are on average as far as held-out ones.

Source: Sun et al., Out-of-distribution detection with deep nearest neighbors (2022); Lee et al., A simple
unified framework for detecting out-of-distribution samples (2018); Tipping and Bishop, Probabilistic
principal component analysis (1999), for what the axes leave; Vovk, Gammerman and Shafer, Algorithmic learning
in a random world (2005), for the threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from vidpipe.learning.video_vectors import block_weights, least_deviation
from vidpipe.records.videos import Doubles, Floats

Indices = npt.NDArray[np.int64]
NEIGHBOUR = 5
AXES = 64
FALSE_REJECTS = 0.05
"""Share of videos like those of the training that are called unknown."""
SHRINKAGE = 0.1
"""Of the scatter towards a ball: few videos do not tell 64 directions apart."""
LEAST_REST = 1e-4
"""Of the variance: less than that the axes do not leave, but rounding."""
MOST_POINTS = 4096
LEAST_VIDEOS = 20
"""Of fewer training videos nothing can be said of the rest of the world."""


@dataclass(frozen=True, slots=True, eq=False)
class NoveltyModel:
    """Distances from the training videos, and what is usual among them."""

    centre: Floats
    scale: Floats
    """Both (D,)."""
    axes: Floats
    """Principal axes of the scaled training videos, (D, R)."""
    points: Floats
    """Training videos along the axes, (N, R)."""
    residuals: Floats
    """What the axes leave of each, squared, (N,)."""
    label_centres: Floats
    """(K, R)."""
    whitening: Floats
    """(R, R): scatter about the labels' centres becomes a ball."""
    usual: Floats
    """Mean and deviation of both log distances of out-of-fold training videos, and the threshold: (5,)."""
    rest_weight: Floats = field(default_factory=lambda: np.zeros(1, np.float32))
    """Factor of the squared residual in the distance to a label, (1,); models from before it had none."""

    def distances(self, means: Floats) -> Doubles:
        """Logs of both squared distances, (N, 2), of mean features (N, D)."""
        nearest, to_label, rest = self.squares(means)
        to_label = to_label + self.rest_weight[0] * rest
        logs: Doubles = np.log(np.maximum(np.stack([nearest, to_label], axis=1), 1e-12))
        return logs

    def squares(self, means: Floats) -> tuple[Doubles, Doubles, Doubles]:
        """Squared distances to a neighbour and, along the axes, to a label; squared residuals: each (N,)."""
        x = (means.astype(np.float64) - self.centre) * self.scale
        z = x @ self.axes
        rest = np.maximum((x**2).sum(1) - (z**2).sum(1), 0.0)
        squares = (z**2).sum(1)[:, None] + (self.points**2).sum(1) - 2 * z @ self.points.T
        nearest = np.sort(squares + self.residuals, axis=1)[:, :NEIGHBOUR][:, -1] + rest
        w, centres = z @ self.whitening, self.label_centres @ self.whitening
        return nearest, ((w[:, None] - centres[None]) ** 2).sum(2).min(1), rest

    def weighing_rest(self, share: float) -> NoveltyModel:
        """The model in which a training video's residual counts like this share of its length on the axes."""
        square = float((self.points**2).sum(1).mean())
        usual_rest = max(float(self.residuals.mean()), LEAST_REST * square, 1e-12)
        weight = np.array([share * self.axes.shape[1] / usual_rest], np.float32)
        return replace(self, rest_weight=weight)

    def novelty(self, means: Floats) -> Floats:
        """Novelty (N,) of mean features (N, D): above 1 a video is unlike those of the training."""
        found = np.exp(np.clip((_joined(self.distances(means), self.usual) - self.usual[4]) / 2, -20, 20))
        novelty: Floats = found.astype(np.float32)
        return novelty

    def to_bytes(self) -> bytes:
        """The model as safetensors."""
        return bytes(save({k: np.ascontiguousarray(v) for k, v in asdict(self).items()}))

    @classmethod
    def from_bytes(cls, weights: bytes) -> NoveltyModel:
        """The model from its bytes."""
        tensors = load(weights)
        return cls(**{f.name: tensors[f.name] for f in fields(cls) if f.name in tensors})


def fit_novelty(
    means: Floats, targets: Indices, folds: Indices, blocks: Sequence[int]
) -> NoveltyModel | None:
    """Fit on training videos, and calibrate on the same out of fold; None where they are too few.

    Args:
        means: Mean features (N, D).
        targets: Label of each, (N,).
        folds: In which fold each is held out, (N,), from 0; no group is in two.
        blocks: Sizes of the kinds of features, which sum to D.
    """
    if len(means) < LEAST_VIDEOS or len(np.unique(folds)) < 2:
        return None
    fewest = len(means) - max(int((folds == fold).sum()) for fold in np.unique(folds))
    R = min(AXES, max(fewest // 4, 1))  # the same for all: distances grow with the number of axes
    of_folds = {
        fold: _fitted(means[folds != fold], targets[folds != fold], blocks, R) for fold in np.unique(folds)
    }
    share = _share_of_rest(of_folds, means, folds)
    logs = np.zeros((len(means), 2))
    for fold, model in of_folds.items():
        logs[folds == fold] = model.weighing_rest(share).distances(means[folds == fold])
    usual = np.array([*logs.mean(0), *np.maximum(logs.std(0), 1e-6), 0.0])
    known = min((1 - FALSE_REJECTS) * (1 + 1 / len(means)), 1.0)  # as of conformal prediction
    usual[4] = np.quantile(_joined(logs, usual), known, method="higher")
    model = _fitted(means, targets, blocks, R).weighing_rest(share)
    return replace(model, usual=usual.astype(np.float32))


def _share_of_rest(of_folds: Mapping[int, NoveltyModel], means: Floats, folds: Indices) -> float:
    """The share (0 to 1) at which training videos are on average as far from a label as held-out ones."""
    seen: list[list[float]] = []
    held_out: list[list[float]] = []
    for fold, model in of_folds.items():
        for found, which in ((seen, folds != fold), (held_out, folds == fold)):
            _, to_label, rest = model.squares(means[which])
            found.append([to_label.mean(), rest.mean() * model.weighing_rest(1.0).rest_weight[0]])
    nearer, more = np.mean(held_out, axis=0) - np.mean(seen, axis=0)
    return float(np.clip(-nearer / more, 0.0, 1.0)) if more > 0 else 0.0


def _joined(logs: Doubles, usual: npt.NDArray[np.floating]) -> Doubles:
    """Sum of both distances (N,), each in deviations from what is usual."""
    found: Doubles = ((logs - usual[:2]) / usual[2:4]).sum(1)
    return found


def _fitted(means: Floats, targets: Indices, blocks: Sequence[int], R: int) -> NoveltyModel:
    """Fit with R axes, or as many as the videos span; what is usual is not known yet."""
    chosen = np.unique(np.linspace(0, len(means) - 1, min(len(means), MOST_POINTS)).astype(int))
    x, y = means[chosen].astype(np.float64), targets[chosen]
    centre, deviation = x.mean(0), x.std(0)
    scale = block_weights(blocks) / np.maximum(deviation, least_deviation(deviation))
    x = (x - centre) * scale
    axes = np.linalg.svd(x, full_matrices=False)[2][:R].T
    z, R = x @ axes, axes.shape[1]
    centres = np.stack([z[y == k].mean(0) for k in np.unique(y)])
    about = z - centres[np.searchsorted(np.unique(y), y)]
    scatter = about.T @ about / len(about)
    ball = np.eye(R) * max(np.trace(scatter) / R, 1e-12)
    values, vectors = np.linalg.eigh((1 - SHRINKAGE) * scatter + SHRINKAGE * ball)
    residuals = np.maximum((x**2).sum(1) - (z**2).sum(1), 0.0)
    arrays = (centre, scale, axes, z, residuals, centres, vectors / np.sqrt(values), np.zeros(5))
    return NoveltyModel(*(a.astype(np.float32) for a in arrays))
