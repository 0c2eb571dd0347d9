"""Logistic regression, multinomial or of each label, with an L2 penalty on statistics of features over time.

A convex problem: the same videos give the same weights, whatever the seed. With N videos the optimum lies in
the span of their N vectors of statistics, so that one factorisation of their N x N Gram matrix serves all
penalties and all folds of a cross-validation.

Features come in kinds of very different sizes: a thousand of the CNN's average, ninety-nine of flow. Each
kind gets the same total variance, or the penalty would let the large ones speak alone.

What seldom tells labels apart is made smaller beforehand, so that its weights cost more: see `prior`.

A video has its label without its beginning or its end too. So few videos are trained on whole and in two
crops, as the LSTM is in random ones. Only the whole video has its order: their trend is that of the whole.

Source: Hastie and Tibshirani, Efficient quadratic regularization for expression arrays (2004), section 3;
Abdi, Williams and Valentin, Multiple factor analysis (2013), for the weights of the kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vidpipe.learning.lbfgs import minimise
from vidpipe.learning.objectives import Objective, Outputs, objective_of
from vidpipe.learning.prior import NONE, ROWS, Arrays, Prior, scales
from vidpipe.records.models import FeatureLayout
from vidpipe.records.videos import Doubles, Floats

LinearName = Literal[
    "mean_linear", "mean_std_linear", "mean_std_change_linear", "trend_linear", "thirds_linear"
]

PENALTIES = (10.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4)
"""Of the squared weights, beside the mean cross entropy; out-of-fold scores choose one."""
BIAS_PENALTY = 1e-4
"""Keeps the bias of a label without a training video finite."""
BASIS_VIDEOS = 1024
"""So many videos' statistics, crops among them, span the weights; up to this number the optimum is exact.
More videos than that are trained on whole alone, which bounds memory and time."""
LEAST_SQUARE = 1e-6
"""Of the largest eigenvalue: axes below are rounding errors of the float32 products."""
CURVATURE = 0.01
"""Of the cross entropy, by a coordinate's square: p (1 - p) of a label that is rather sure."""
EXACT = 1e-5
"""A solution's loss is at most this above the minimum."""
LEAST_DEVIATION = 1e-3
"""Added to each statistic's deviation: a constant one stays at zero."""


def over_time(features: Floats, count: int) -> Floats:
    """Statistics over time of features (T, D), the first so many of these four, each (D,): (count D,).

    Mean; standard deviation; mean absolute change between frames; mean of the last third minus that of the
    first, so that order is seen.
    """
    x = features.astype(np.float32, copy=False)
    T, D = x.shape
    found = np.zeros((count, D), np.float32)
    found[0] = x.mean(0)
    if count > 1:
        off = x - found[0]
        found[1] = np.sqrt(np.einsum("td,td->d", off, off) / np.float32(T))
    if count > 2 and T > 1:
        change = np.subtract(x[1:], x[:-1], out=off[1:])
        found[2] = np.abs(change, out=change).mean(0)
    if count > 3:
        found[3] = x[min(2 * T // 3, T - 1) :].mean(0) - x[: max(T // 3, 1)].mean(0)
    return found.reshape(-1)


def thirds(features: Floats) -> Floats:
    """Means of the first, middle and last third of features (T, D): (3 D,)."""
    x = features.astype(np.float32, copy=False)
    T = len(x)
    starts = [min(k * T // 3, T - 1) for k in range(3)]
    ends = [max((k + 1) * T // 3, start + 1) for k, start in enumerate(starts)]
    return np.concatenate([x[a:b].mean(0) for a, b in zip(starts, ends, strict=True)])


OVER_TIME: dict[LinearName, int] = {
    "mean_linear": 1, "mean_std_linear": 2, "mean_std_change_linear": 3, "trend_linear": 4,
}  # fmt: skip
"""Name of a linear part, and how many statistics of `over_time` it has."""
TREND: LinearName = "trend_linear"
THIRDS: LinearName = "thirds_linear"
"""Trained no more; versions that have it are served."""
STATISTICS: dict[LinearName, int] = {**OVER_TIME, THIRDS: 3}
"""Name of every linear part: the size of its statistic in D."""


def statistic(name: LinearName, features: Floats) -> Floats:
    """The statistic of a linear part, float32 (S,), of features (T, D)."""
    return thirds(features) if name == THIRDS else over_time(features, OVER_TIME[name])


def of_crops(name: LinearName, features: Sequence[Floats], whole: Floats, share: float) -> list[Floats]:
    """Statistics of this share of each video's frames: the first ones, (N, S), and the last ones, (N, S).

    Args:
        name: Which statistic.
        features: N arrays (T_i, D).
        whole: The statistic of each whole video, (N, S).
        share: Of the frames, 0 to 1; at least one is left.
    """
    kept = [max(round(share * len(x)), 1) for x in features]
    first = np.stack([statistic(name, x[:n]) for x, n in zip(features, kept, strict=True)])
    last = np.stack([statistic(name, x[-n:]) for x, n in zip(features, kept, strict=True)])
    if name == TREND:
        D = features[0].shape[1]
        first[:, -D:] = last[:, -D:] = whole[:, -D:]
    return [first, last]


class LinearHead(nn.Module):
    """A statistic of features over time, standardised, then a linear layer: (T, D) to logits (K,)."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(
        self, name: LinearName, input_size: int, num_classes: int, outputs: Outputs = "softmax"
    ) -> None:
        super().__init__()
        self.outputs = outputs
        self.name, times = name, STATISTICS[name]
        self.register_buffer("mean", torch.zeros(times * input_size))
        self.register_buffer("deviation", torch.ones(times * input_size))
        self.linear = nn.Linear(times * input_size, num_classes)

    def forward(self, features: Floats) -> torch.Tensor:
        """Logits (K,) of one video: by itself, so that its bits do not depend on other videos."""
        x = torch.from_numpy(statistic(self.name, features))
        logits: torch.Tensor = self.linear(((x - self.mean) / self.deviation)[None])[0]
        return logits

    def of_statistics(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, K) of statistics (n, S); equal n give equal bits, whatever the other rows.

        Filled up to a multiple of 64 labels: in a narrow matrix product a row's bits depend on its position.
        """
        K = len(self.linear.weight)
        weights = nn.functional.pad(self.linear.weight, (0, 0, 0, -K % 64))
        return torch.mm((x - self.mean) / self.deviation, weights.t())[:, :K] + self.linear.bias


@dataclass(frozen=True, slots=True)
class Weights:
    """A solution in the coordinates of the basis: weights (R, K) and bias (K,)."""

    weights: Doubles
    bias: Doubles


class LinearProblem:
    """One statistic of N videos, factorised once, to be fitted on all of them and without each fold."""

    def __init__(
        self, name: LinearName, features: Sequence[Floats], targets: npt.NDArray[np.int64],
        num_classes: int, balance: float, seed: int = 0, layout: FeatureLayout | None = None,
        prior: Prior = NONE, crop_share: float = 1.0,
    ) -> None:  # fmt: skip
        """Factorise.

        Args:
            name: Which statistic.
            features: N arrays (T_i, D).
            targets: Label of each video, (N,), or whether it has each label, (N, K).
            num_classes: K.
            balance: A video counts by its label's number of videos to the power of minus this.
            seed: Draws the basis where there are more than `BASIS_VIDEOS` videos.
            layout: Of the features; default: one kind, which does not say where.
            prior: Which differences between videos count more.
            crop_share: Share of the frames in the crops that are trained on besides; at 1 there are none.
        """
        self.name, self._num_classes, self._balance = name, num_classes, balance
        self._copies = 3 if crop_share < 1 and len(features) <= BASIS_VIDEOS else 1
        self._targets = np.concatenate([targets] * self._copies)
        self._objective = objective_of(targets)
        self._input_size = features[0].shape[1]
        x = np.stack([statistic(name, f) for f in features])  # (N, S)
        if self._copies > 1:
            x = np.concatenate([x, *of_crops(name, features, x, crop_share)])  # (3 N, S)
        self._mean = x.mean(0, dtype=np.float64)
        self._layout, self._prior = layout or FeatureLayout((self._input_size,)), prior
        self._deviation = x.std(0, dtype=np.float64) + LEAST_DEVIATION
        self._deviation /= np.tile(scales(self._layout.blocks), STATISTICS[name])
        x -= self._mean.astype(np.float32)
        x /= self._deviation.astype(np.float32)
        self._prior.weigh(x, self._layout)
        chosen = np.arange(len(x))
        if len(x) > BASIS_VIDEOS:
            chosen = np.sort(np.random.default_rng(seed).choice(len(x), BASIS_VIDEOS, replace=False))
        self._basis = x[chosen]  # (R', S)
        products = _product(x, self._basis.T).astype(np.float64)
        self._axes = _principal_axes(products[chosen])  # (R', R), in terms of the basis
        self.coordinates: Doubles = _product(products, self._axes)  # (N or 3 N, R), whole videos first

    def cross_fit(self, folds: npt.NDArray[np.int64]) -> tuple[Doubles, list[Weights]]:
        """For each of `PENALTIES`, fit without each fold and on all videos.

        Args:
            folds: In which fold each video is held out, (N,); -1: in none, its rows stay 0.

        Returns:
            Evidence (penalties, N, K), each video's by weights fitted without its fold; and for each
            penalty the weights fitted on all videos.
        """
        numbers = np.unique(folds[folds >= 0])
        used = np.stack([*(folds != fold for fold in numbers), np.ones(len(folds), np.bool_)])
        found = np.zeros((len(PENALTIES), len(folds), self._num_classes))
        on_all: list[Weights] = []
        for scores, fits in zip(found, self.path(used), strict=True):
            for fold, fit in zip(numbers, fits, strict=False):
                here = np.flatnonzero(folds == fold)
                scores[here] = self.scores(fit, here)
            on_all.append(fits[-1])
        return found, on_all

    def path(self, used: npt.NDArray[np.bool_]) -> Iterator[list[Weights]]:
        """Regularisation path: for each of `PENALTIES` the optimal weights of F fits, each on its videos.

        Args:
            used: Which videos each fit sees, (F, N).
        """
        z = np.concatenate([self.coordinates, np.ones((len(self.coordinates), 1))], 1)
        share = np.stack([self._shares(np.tile(of_fit, self._copies)) for of_fit in used])
        truth = self._objective.truth(self._targets, self._num_classes)
        z_, truth_, share_ = (torch.from_numpy(x) for x in (z, truth, share))
        fits = _Fits(z_, truth_, share_, self._objective)
        found = torch.zeros(len(used), z.shape[1], self._num_classes, dtype=torch.float64)
        for penalty in PENALTIES:
            found = fits.optima(penalty, found)
            yield [Weights(of_fit[:-1], of_fit[-1]) for of_fit in found.numpy()]

    def _shares(self, used: npt.NDArray[np.bool_]) -> Doubles:
        return self._objective.shares(self._targets, used, self._num_classes, self._balance)

    def scores(self, found: Weights, videos: npt.NDArray[np.int64]) -> Doubles:
        """Evidence (n, K) for some of the videos."""
        logits = _product(self.coordinates[videos], found.weights) + found.bias
        return self._objective.evidence_of_logits(logits)

    def head(self, found: Weights) -> LinearHead:
        """The `LinearHead` of a solution."""
        head = LinearHead(self.name, self._input_size, self._num_classes, self._objective.outputs)
        with torch.no_grad():
            head.mean.copy_(torch.from_numpy(self._mean))
            head.deviation.copy_(torch.from_numpy(self._deviation))
            head.linear.weight.copy_(torch.from_numpy(self._in_features(found)))
            head.linear.bias.copy_(torch.from_numpy(found.bias))
        return head.eval()

    def _in_features(self, found: Weights) -> Doubles:
        """Weights (K, S) of the statistics."""
        weights = _product(_product(found.weights.T, self._axes.T), self._basis.astype(np.float64))
        self._prior.weigh(weights, self._layout)
        return weights


def _principal_axes(products: Doubles) -> Doubles:
    """Orthonormal axes (R', R) of the span of R' vectors, in terms of them, from their products (R', R')."""
    squares, vectors = torch.linalg.eigh(torch.from_numpy(products))
    kept = squares > max(float(squares[-1]), 1e-12) * LEAST_SQUARE
    axes: Doubles = (vectors[:, kept] / squares[kept].sqrt()).numpy()
    return axes


def _product(a: Arrays, b: Arrays) -> Arrays:
    """Matrix product by PyTorch, which respects `cores.one_thread`."""
    found: Arrays = (torch.from_numpy(a) @ torch.from_numpy(b)).numpy()
    return found


class _Fits:
    """Weighted log loss plus penalty of F fits on the same videos, as one function."""

    def __init__(
        self, z: torch.Tensor, truth: torch.Tensor, share: torch.Tensor, objective: Objective
    ) -> None:
        """Take coordinates z (N, R + 1), of which the last is 1, true labels (N, K) and shares (F, N)."""
        self._z, self._truth, self._share, self._objective = z, truth[:, None], share, objective
        self._curvature = CURVATURE * z.square().mean(0)

    def optima(self, penalty: float, start: torch.Tensor) -> torch.Tensor:
        """Weights (F, R + 1, K) whose loss is within `EXACT` of the least one.

        In variables of about one curvature L-BFGS needs a third of the steps. With m the least curvature,
        the loss is within g^2 / 2 m of its minimum, g the length of the gradient.
        """
        F, R, K = start.shape
        penalties = torch.full((R, 1), penalty, dtype=torch.float64)
        penalties[-1] = BIAS_PENALTY
        scale = (self._curvature[:, None] + 2 * penalties).sqrt()  # (R, 1)
        scaled = penalties / scale.square()

        def evaluate(numbers: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            x = x.view(-1, R, K)
            loss, gradient = self._fit(numbers, x / scale)
            value = loss + (scaled * x.square()).sum((1, 2))
            return value, (gradient / scale + 2 * scaled * x).flatten(1)

        enough = 4 * float(scaled.min()) * EXACT
        return minimise(evaluate, (start * scale).flatten(1), enough).view(F, R, K) / scale

    def _fit(self, numbers: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Log loss (b,) of some fits with weights (b, R, K), and its gradient."""
        b, R, K = weights.shape
        joined = weights.transpose(0, 1).reshape(R, b * K)
        loss, gradient = torch.zeros(b, dtype=torch.float64), torch.zeros(R, b * K, dtype=torch.float64)
        for first in range(0, len(self._z), ROWS):
            here = slice(first, first + ROWS)
            z, truth = self._z[here], self._truth[here]
            losses, slope = self._objective.losses((z @ joined).view(-1, b, K), truth)
            share = self._share[numbers, here].T[:, :, None]  # (rows, b, 1)
            loss += (losses * share).sum((0, 2))
            gradient += z.T @ (slope * share).view(-1, b * K)
        return loss, gradient.view(R, b, K).transpose(0, 1)
