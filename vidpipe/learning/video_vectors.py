"""Video embeddings for similarity search: mean features, centred, scaled, projected to a unit vector.

The projection keeps the 64 principal axes of the videos that it was fitted on, and a random orthonormal basis
of 64 more for whatever these do not span, so that cosines of other kinds of videos are right on average.

Source: Johnson and Lindenstrauss (1984) for the random part; Jegou and Chum, Negative evidences and
co-occurrences in image retrieval (2012), for centring before cosines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from vidpipe.errors import UnsafeModel
from vidpipe.records.videos import Floats

SIZE = 128
PRINCIPAL = 64
FIT_VIDEOS = 2048
"""So many videos at most, spread over those there are, fit a projection."""
OTHER_BLOCKS = 0.5
"""Weight of each kind of features after the first, the CNN's average: a balance between looks, which tell
most of UCF101's labels, and movement, which tells those of ut_interaction."""
LEAST_DEVIATION = 0.1
"""Of the median deviation: features that hardly vary are not blown up."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Linear map from mean features (D,) to vectors (128,)."""

    centre: Floats
    """Shape (D,)."""
    axes: Floats
    """Shape (D, 128), scales included."""

    def vectors(self, means: Floats) -> Floats:
        """Unit vectors (N, 128), rounded to float16, of mean features (N, D); zero where nothing is known."""
        x = (means.astype(np.float64) - self.centre) @ self.axes
        lengths = np.linalg.norm(x, axis=1, keepdims=True)
        found: Floats = (x / np.maximum(lengths, 1e-12)).astype(np.float16).astype(np.float32)
        return found

    def to_bytes(self) -> bytes:
        """The projection as safetensors."""
        return bytes(save({"centre": self.centre, "axes": self.axes}))

    @classmethod
    def from_bytes(cls, weights: bytes, sha256: str) -> Projection:
        """Read a projection whose bytes have this hash.

        Raises:
            UnsafeModel: They have another.
        """
        if (found := hashlib.sha256(weights).hexdigest()) != sha256:
            raise UnsafeModel(
                f"the projection of the vectors has SHA-256 {found[:16]}…, on record is {sha256[:16]}….",
                next_step="restore state/ledger.duckdb from a backup.",
            )
        tensors = load(weights)
        return cls(tensors["centre"], tensors["axes"])


def fit_projection(means: Floats, blocks: Sequence[int], seed: int = 0) -> Projection:
    """Fit a projection: deterministic for the same means in the same order.

    Args:
        means: Mean features (N, D) of two or more videos.
        blocks: Sizes of the kinds of features, which sum to D.
        seed: Of the random axes.
    """
    x = means.astype(np.float64)
    D = x.shape[1]
    centre, deviation = x.mean(0), x.std(0)
    scale = block_weights(blocks) / np.maximum(deviation, least_deviation(deviation))
    axes = np.linalg.svd((x - centre) * scale, full_matrices=False)[2]
    principal = axes[: min(PRINCIPAL, len(x) - 1)].T  # (D, R)
    joined = np.zeros((D, SIZE))
    R, rest = principal.shape[1], D - principal.shape[1]
    joined[:, :R] = principal
    more = np.random.default_rng(seed).normal(size=(D, min(SIZE - R, rest)))
    more -= principal @ (principal.T @ more)
    if more.size:
        joined[:, R : R + more.shape[1]] = np.linalg.qr(more)[0] * np.sqrt(rest / more.shape[1])
    return Projection(centre.astype(np.float32), (joined * scale[:, None]).astype(np.float32))


def block_weights(blocks: Sequence[int]) -> npt.NDArray[np.float64]:
    """Weight of each feature, (D,): a kind has the same share however many features it has."""
    weights = [1.0, *[OTHER_BLOCKS] * (len(blocks) - 1)]
    return np.concatenate([np.full(n, w / np.sqrt(n)) for n, w in zip(blocks, weights, strict=True)])


def least_deviation(deviation: npt.NDArray[np.float64]) -> float:
    """Floor of the deviations (D,) that features are divided by."""
    return LEAST_DEVIATION * float(np.median(deviation[deviation > 0])) if deviation.any() else 1.0
