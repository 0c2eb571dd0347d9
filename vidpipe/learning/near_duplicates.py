"""Near-duplicate video detection: copies of a video, re-encoded, resized, cropped or trimmed.

Looks alone cannot tell: two takes of one scene look more alike than a video and its copy at a low bit rate.
What tells is *how they change*: the features of both, frame beside frame along one diagonal of all pairs of
instants, rise and fall together, optical flow above all, which neither codec nor size touches.

    frame of b    0   1   2   3   4   5         each diagonal is one shift of time; its correlation is taken
    frame of a 0  .   .   x   .   .   .         over the overlap, at least half of the shorter video. Sampled
               1  .   .   .   x   .   .         instants of a trimmed copy lie between those of the other, so
               2  .   .   .   .   x   .         one of the two is also interpolated at quarters of a step.
               3  .   .   .   .   .   x

A logistic regression joins the correlations of the kinds of features at the best shift, how alike their means
are, how much moves at all, and how many frames there were to agree. Its weights are fitted on other clips
than `python -m benchmarks.near_duplicates` measures it on.

Source: Douze, Jegou and Schmid, An image-based approach to video copy detection with spatio-temporal
post-filtering (2010), for the alignment in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidpipe.records.videos import Doubles, Floats, consecutive_slices

Indices = npt.NDArray[np.int64]

LEAST_COSINE, MOST_CANDIDATES = 0.3, 64
"""Of a video's nearest by their vectors, so many at most are aligned, and none less alike than this."""
BLOCK_OTHERS = 16_384
"""Compared at once: 34 MB beside a block of 512 videos."""
PHASES = (0.0, 0.25, 0.5, 0.75)
"""Parts of a sampling step by which one video is shifted."""
PROMISING = 0.3
"""Correlation of the flow, without interpolation, below which no more is looked at."""
LEAST_OVERLAP, LEAST_FRAMES = 0.5, 3
"""Share of the shorter video that must match, and frames."""
MOST_FRAMES = 4096
"""Of a longer video the first frames are aligned: seventeen minutes at four a second."""
LISTED, SURE = 0.25, 0.95
"""Videos of at least this similarity are listed as near-duplicates; from the second on, a training says
that they straddle its splits, or is refused."""
WEIGHTS = (3.84, 2.92, 0.05, 0.77, 0.83, -4.71, 1.23, 3.03, 4.4, -0.45, -2.62)
INTERCEPT = -18.45
"""Of `Alignment.terms`, fitted on default features: 792 pairs of copies (six kinds, of 40 clips of UCF101)
against 16350 pairs of other videos that are near by their vectors, of UCF101, ut_interaction, drone_ir and
car_crash; L2 penalty of 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Features of a video's frames by kind, each (T, D of that kind); a video's first frame is left out.

    It has no flow: zeros, which would agree with another video's first frame and with nothing else.
    """

    average: Floats
    grid: Floats
    flow: Floats

    @classmethod
    def of(cls, values: Floats, blocks: Sequence[int]) -> Frames:
        """Split features (T, D) of the default pooling with flow: average, grid, motion, flow."""
        kept = values[1 : MOST_FRAMES + 1]
        average, grid, _, flow = (kept[:, columns] for columns in consecutive_slices(blocks))
        return cls(average, grid, flow)

    def __len__(self) -> int:
        return len(self.flow)


@dataclass(frozen=True, slots=True)
class Alignment:
    """The best shift of two videos against each other."""

    first: int
    other_first: int
    """First matched frame of each, from 0 for a video's first frame."""
    frames: int
    """Matched frames."""
    facts: tuple[float, ...]
    """Correlations over time of flow, grid and average; log10 of 1 - cosine of the means of average, grid and
    flow; log10 of the flow's variance over time; and the number of frames to the power of -1/2."""

    @property
    def terms(self) -> tuple[float, ...]:
        """Terms (11,) of the regression: the facts, correlations by Fisher's z, and products of some."""
        flow, grid, average = (float(np.arctanh(np.clip(r, -0.999, 0.999))) for r in self.facts[:3])
        moves = self.facts[6]
        return (flow, grid, average, *self.facts[3:], flow * grid, moves * flow, moves * grid)

    @property
    def similarity(self) -> float:
        """Probability of a copy by the logistic regression, 0 to 1."""
        return float(1 / (1 + np.exp(-(np.dot(WEIGHTS, self.terms) + INTERCEPT))))


def candidates(vectors: Floats, others: npt.NDArray[np.floating], among: Indices) -> list[Indices]:
    """For each of N unit vectors, the numbers of those among others that are worth an alignment.

    Memory does not grow with the number of the others.

    Args:
        vectors: (N, 128).
        others: (M, 128).
        among: Numbers of those of the others that count.
    """
    found = [(np.zeros(0, np.int64), np.zeros(0, np.float32)) for _ in vectors]
    for start in range(0, len(among), BLOCK_OTHERS):
        numbers = among[start : start + BLOCK_OTHERS]
        cosines = vectors @ others[numbers].astype(np.float32).T
        found = [
            _nearest(np.append(kept, numbers[near]), np.append(alike, row[near]))
            for (kept, alike), row in zip(found, cosines, strict=True)
            for near in (row >= LEAST_COSINE,)
        ]
    return [numbers for numbers, _ in found]


def _nearest(numbers: Indices, cosines: Floats) -> tuple[Indices, Floats]:
    """The nearest `MOST_CANDIDATES`, in no order."""
    if len(numbers) <= MOST_CANDIDATES:
        return numbers, cosines
    kept = np.argpartition(-cosines, MOST_CANDIDATES)[:MOST_CANDIDATES]
    return numbers[kept], cosines[kept]


def align(a: Frames, b: Frames) -> Alignment | None:
    """Best alignment of two videos; None where too few frames could match, or nothing does."""
    shorter = min(len(a), len(b))
    least = max(LEAST_FRAMES, int(np.ceil(LEAST_OVERLAP * shorter)) - 1)
    if shorter - 1 < least:
        return None
    flow = b.flow[:-1].astype(np.float64)
    shifts = [_best_shift(_between(a.flow, 0.0), flow, least)]
    if shifts[0][0] < PROMISING:
        return None
    shifts += [_best_shift(_between(a.flow, phase), flow, least) for phase in PHASES[1:]]
    best = int(np.argmax([shift[0] for shift in shifts]))
    _, first, other_first, frames = shifts[best]
    here, there = slice(first, first + frames), slice(other_first, other_first + frames)
    pairs = [
        (_between(x, PHASES[best])[here], y[there])
        for x, y in ((a.flow, b.flow), (a.grid, b.grid), (a.average, b.average))
    ]
    correlations = [_correlation(x, y) for x, y in pairs]
    distances = [_distance(x.mean(0), y.mean(0)) for x, y in (pairs[2], pairs[1], pairs[0])]
    moves = _movement(*pairs[0])
    return Alignment(first + 1, other_first + 1, frames, (*correlations, *distances, moves, frames**-0.5))


def _between(x: npt.NDArray[np.floating], phase: float) -> Doubles:
    """Features (T - 1, D) at instants that lie this part of a step after those of x (T, D)."""
    found: Doubles = (1 - phase) * x[:-1] + phase * x[1:]
    return found


def _best_shift(a: Doubles, b: Doubles, least: int) -> tuple[float, int, int, int]:
    """Highest correlation over all shifts with so many frames in common: it, first frames of both, frames.

    Sums along all diagonals at once; centred over each overlap by prefix sums.
    """
    A, B = len(a), len(b)
    shift = np.arange(least - B, A - least + 1)  # of a against b
    first, other = np.maximum(shift, 0), np.maximum(-shift, 0)
    frames = np.minimum(A - first, B - other)
    diagonal = (np.arange(A)[:, None] - np.arange(B)[None, :] + B - 1).ravel()
    products = np.bincount(diagonal, (a @ b.T).ravel(), A + B - 1)[shift + B - 1]
    sum_a, square_a = _window_sums(a, first, frames)
    sum_b, square_b = _window_sums(b, other, frames)
    covariance = products - np.einsum("ij,ij->i", sum_a, sum_b) / frames
    variance_a = square_a - np.einsum("ij,ij->i", sum_a, sum_a) / frames
    variance_b = square_b - np.einsum("ij,ij->i", sum_b, sum_b) / frames
    correlation = covariance / np.sqrt(np.maximum(variance_a * variance_b, 1e-12))
    best = int(np.argmax(correlation))
    return float(correlation[best]), int(first[best]), int(other[best]), int(frames[best])


def _window_sums(x: Doubles, first: Indices, frames: Indices) -> tuple[Doubles, Doubles]:
    """Sums (n, D) of x (T, D) over n windows, and sums of squares (n,)."""
    sums = np.concatenate([np.zeros((1, x.shape[1])), x.cumsum(0)])
    squares = np.concatenate([[0.0], np.einsum("ij,ij->i", x, x).cumsum()])
    return sums[first + frames] - sums[first], squares[first + frames] - squares[first]


def _correlation(x: Doubles, y: npt.NDArray[np.floating]) -> float:
    """Correlation over time of features x and y (T, D): 0 where nothing moves."""
    x, y = x - x.mean(0), y - y.mean(0, dtype=np.float64)
    return float((x * y).sum() / np.sqrt(max((x * x).sum() * (y * y).sum(), 1e-12)))


def _movement(x: Doubles, y: npt.NDArray[np.floating]) -> float:
    """log10 of how much features x and y (T, D) vary over time: of a still scene, correlations are noise."""
    variance = min(float(x.var(0).sum()), float(y.var(0, dtype=np.float64).sum()))
    return float(np.log10(max(variance, 1e-6)))


def _distance(x: Doubles, y: npt.NDArray[np.floating]) -> float:
    """log10 of 1 - cosine of two mean features (D,), at least -5."""
    lengths = np.linalg.norm(x) * np.linalg.norm(y)
    return float(np.log10(max(1e-5, 1 - float(x @ y) / max(float(lengths), 1e-12))))
