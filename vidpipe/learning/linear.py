"""Multinomial logistic regression with an L2 penalty on statistics of features over time.

A convex problem: the same videos give the same weights, whatever the seed. With N videos the optimum lies in
the span of their N vectors of statistics, so that one factorisation of their N x N Gram matrix serves all
penalties and all folds of a cross-validation.

Features come in kinds of very different sizes: a thousand of the CNN's average, ninety-nine of flow. Each
kind gets the same total variance, or the penalty would let the large ones speak alone.

Source: Hastie and Tibshirani, Efficient quadratic regularization for expression arrays (2004), section 3;
Abdi, Williams and Valentin, Multiple factor analysis (2013), for the weights of the kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vidpipe.records.videos import Floats

Doubles = npt.NDArray[np.float64]
LinearName = Literal["mean_linear", "mean_std_linear", "mean_std_change_linear", "thirds_linear"]

PENALTIES = (10.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4)
"""Of the squared weights, beside the mean cross entropy; out-of-fold scores choose one."""
BIAS_PENALTY = 1e-4
"""Keeps the bias of a label without a training video finite."""
BASIS_VIDEOS = 1024
"""So many videos' statistics span the weights; up to this number of videos the optimum is exact."""
LEAST_DEVIATION = 1e-3
"""Added to each statistic's deviation: a constant one stays at zero."""


def mean(features: Floats) -> Floats:
    """Mean over time of features (T, D): (D,)."""
    found: Floats = features.mean(0, dtype=np.float32)
    return found


def mean_std(features: Floats) -> Floats:
    """Mean and standard deviation over time of features (T, D): (2 D,)."""
    x = features.astype(np.float32, copy=False)
    return np.concatenate([x.mean(0), x.std(0)])


def mean_std_change(features: Floats) -> Floats:
    """Mean and deviation over time of features (T, D), and mean absolute change between frames: (3 D,)."""
    x = features.astype(np.float32, copy=False)
    change = np.abs(np.diff(x, axis=0)).mean(0) if len(x) > 1 else np.zeros_like(x[0])
    return np.concatenate([x.mean(0), x.std(0), change])


def thirds(features: Floats) -> Floats:
    """Means of the first, middle and last third of features (T, D): (3 D,), so that order is seen."""
    x = features.astype(np.float32, copy=False)
    T = len(x)
    starts = [min(k * T // 3, T - 1) for k in range(3)]
    ends = [max((k + 1) * T // 3, start + 1) for k, start in enumerate(starts)]
    return np.concatenate([x[a:b].mean(0) for a, b in zip(starts, ends, strict=True)])


STATISTICS: dict[LinearName, tuple[Callable[[Floats], Floats], int]] = {
    "mean_linear": (mean, 1),
    "mean_std_linear": (mean_std, 2),
    "mean_std_change_linear": (mean_std_change, 3),
    "thirds_linear": (thirds, 3),
}
"""Name of a linear part: its statistic, and that statistic's size in D."""


class LinearHead(nn.Module):
    """A statistic of features over time, standardised, then a linear layer: (T, D) to logits (K,)."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, name: LinearName, input_size: int, num_classes: int) -> None:
        super().__init__()
        self.statistic, times = STATISTICS[name]
        self.register_buffer("mean", torch.zeros(times * input_size))
        self.register_buffer("deviation", torch.ones(times * input_size))
        self.linear = nn.Linear(times * input_size, num_classes)

    def forward(self, features: Floats) -> torch.Tensor:
        """Logits (K,) of one video: by itself, so that its bits do not depend on other videos."""
        x = torch.from_numpy(self.statistic(features))
        logits: torch.Tensor = self.linear(((x - self.mean) / self.deviation)[None])[0]
        return logits


@dataclass(frozen=True, slots=True)
class Weights:
    """A solution in the coordinates of the basis: weights (R, K) and bias (K,)."""

    weights: Doubles
    bias: Doubles


class LinearProblem:
    """One statistic of N videos, factorised once, to be fitted on any subset of them."""

    def __init__(
        self, name: LinearName, features: Sequence[Floats], targets: npt.NDArray[np.int64],
        num_classes: int, balance: float, seed: int = 0, blocks: Sequence[int] = (),
    ) -> None:  # fmt: skip
        """Factorise.

        Args:
            name: Which statistic.
            features: N arrays (T_i, D).
            targets: Label of each video, (N,).
            num_classes: K.
            balance: A video counts by its label's number of videos to the power of minus this.
            seed: Draws the basis where there are more than `BASIS_VIDEOS` videos.
            blocks: Sizes of the kinds of features, which sum to D; default: one kind.
        """
        self.name, self._targets, self._num_classes, self._balance = name, targets, num_classes, balance
        self._input_size = features[0].shape[1]
        x = np.stack([STATISTICS[name][0](f) for f in features])  # (N, S)
        self._mean = x.mean(0, dtype=np.float64)
        scales = _scales(blocks or (self._input_size,))
        self._deviation = x.std(0, dtype=np.float64) + LEAST_DEVIATION
        self._deviation /= np.tile(scales, STATISTICS[name][1])
        x -= self._mean.astype(np.float32)
        x /= self._deviation.astype(np.float32)
        basis = x
        if len(x) > BASIS_VIDEOS:
            chosen = np.random.default_rng(seed).choice(len(x), BASIS_VIDEOS, replace=False)
            basis = x[np.sort(chosen)]
        self._axes = _principal_axes(basis)  # (S, R)
        self.coordinates: Doubles = _product(x.astype(np.float64), self._axes)  # (N, R)

    def path(self, videos: npt.NDArray[np.int64]) -> list[Weights]:
        """Regularisation path: optimal weights for each of `PENALTIES`, fitted on some of the videos."""
        z = torch.from_numpy(self.coordinates[videos])
        targets = torch.from_numpy(self._targets[videos])
        per_label = np.bincount(self._targets[videos], minlength=self._num_classes).clip(min=1)
        of_video = (per_label.astype(np.float64) ** -self._balance)[self._targets[videos]]
        share = torch.from_numpy(of_video / of_video.sum())
        found: list[Weights] = []
        for penalty in PENALTIES:
            found.append(
                _optimum(z, targets, share, penalty, self._num_classes, found[-1] if found else None)
            )
        return found

    def out_of_fold(self, folds: npt.NDArray[np.int64]) -> Doubles:
        """Log probabilities (penalties, N, K), each video's by weights fitted without its fold.

        Args:
            folds: In which fold each video is held out, (N,); -1: in none, its rows stay 0.
        """
        found = np.zeros((len(PENALTIES), len(folds), self._num_classes))
        for fold in np.unique(folds[folds >= 0]):
            here = np.flatnonzero(folds == fold)
            for scores, weights in zip(found, self.path(np.flatnonzero(folds != fold)), strict=True):
                scores[here] = self.scores(weights, here)
        return found

    def scores(self, found: Weights, videos: npt.NDArray[np.int64]) -> Doubles:
        """Log probabilities (n, K) of some of the videos."""
        logits = _product(self.coordinates[videos], found.weights) + found.bias
        return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)

    def head(self, found: Weights) -> LinearHead:
        """The `LinearHead` of a solution."""
        head = LinearHead(self.name, self._input_size, self._num_classes)
        with torch.no_grad():
            head.mean.copy_(torch.from_numpy(self._mean))
            head.deviation.copy_(torch.from_numpy(self._deviation))
            head.linear.weight.copy_(torch.from_numpy(_product(found.weights.T, self._axes.T)))
            head.linear.bias.copy_(torch.from_numpy(found.bias))
        return head.eval()


def _scales(blocks: Sequence[int]) -> Doubles:
    """By what standardised features are multiplied, (D,), for every kind to have D / kinds of the variance.

    By the number of features, not by their variance: nearly constant ones are not blown up.
    """
    sizes = np.asarray(blocks, np.float64)
    scales: Doubles = np.repeat(np.sqrt(sizes.sum() / (len(sizes) * sizes)), blocks)
    return scales


def _principal_axes(x: Floats) -> Doubles:
    """An orthonormal basis (S, R) of the span of rows x (R', S), by the eigenvectors of x x^T."""
    wide = torch.from_numpy(x).double()
    squares, vectors = torch.linalg.eigh(wide @ wide.T)
    kept = squares > max(float(squares[-1]), 1e-12) * 1e-9
    axes: Doubles = (wide.T @ (vectors[:, kept] / squares[kept].sqrt())).numpy()
    return axes


def _product(a: Doubles, b: Doubles) -> Doubles:
    """Matrix product by PyTorch, which respects `cores.one_thread`."""
    found: Doubles = (torch.from_numpy(a) @ torch.from_numpy(b)).numpy()
    return found


def _optimum(
    z: torch.Tensor, targets: torch.Tensor, share: torch.Tensor, penalty: float, K: int, start: Weights | None
) -> Weights:
    """Minimum of the weighted cross entropy plus the penalty, by L-BFGS in float64."""
    weights = torch.zeros(z.shape[1], K, dtype=torch.float64)
    bias = torch.zeros(K, dtype=torch.float64)
    if start is not None:
        weights, bias = torch.from_numpy(start.weights.copy()), torch.from_numpy(start.bias.copy())
    weights.requires_grad_(True)
    bias.requires_grad_(True)
    optimizer = torch.optim.LBFGS(
        [weights, bias],
        max_iter=200,
        tolerance_grad=1e-6,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        fit = nn.functional.cross_entropy(z @ weights + bias, targets, reduction="none") @ share
        total: torch.Tensor = fit + penalty * weights.square().sum() + BIAS_PENALTY * bias.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return Weights(weights.detach().numpy(), bias.detach().numpy())
