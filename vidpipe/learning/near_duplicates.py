"""Near-duplicate video detection: copies of a video, re-encoded, resized, cropped or trimmed.

Looks alone cannot tell: two takes of one scene look more alike than a video and its copy at a low bit rate.
What tells is *how they change*: the features of both, frame beside frame along one diagonal of all pairs of
instants, rise and fall together, optical flow above all, which neither codec nor size touches.

    frame of b    0   1   2   3   4   5         each diagonal is one shift of time; its correlations are taken
    frame of a 0  .   .   x   .   .   .         over the overlap, at least half of the shorter video. Sampled
               1  .   .   .   x   .   .         instants of a trimmed copy lie between those of the other, so
               2  .   .   .   .   x   .         one of the two is also interpolated at quarters of a step.
               3  .   .   .   .   .   x

The shift is the one at which flow and grid agree best. There each feature counts by how it changes in
terms of its own deviation, so that the few that change most (a camera that pans, an arm that draws a bow
again and again) do not speak for all. A logistic regression joins these correlations of the kinds of
features, how much better this shift is than any other, how alike the means are, how much moves at all, and
how many frames there were to agree. `python -m benchmarks.near_duplicate_weights` fits its weights, on other
clips than `python -m benchmarks.near_duplicates` measures it on.

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

LEAST_COSINE, MOST_CANDIDATES = 0.3, 128
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
ROWS = 512
"""Frames of one video that are multiplied with all of the other's at once: 17 MB of the longest."""
LEAST_DEVIATION = 0.1
"""Of the median deviation over time: features that hardly change are not blown up."""
LISTED, SURE = 0.5, 0.95
"""Videos of at least this similarity are listed as near-duplicates; from the second on, a training says
that they straddle its splits, or is refused."""
WEIGHTS = (
    5.83, 27.29, -6.66, -1.24, 1.89, -0.21, -2.23, -1.59, -1.58, -0.19, 2.2, -1.67, 1.69, -11.42,
)  # fmt: skip
INTERCEPT = -14.99
"""Of `Alignment.terms`, fitted on default features by `benchmarks.near_duplicate_weights`: 5054 pairs of
copies against 44128 pairs of other videos that are near by their vectors."""


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Features of a video's frames by kind, each (T, D of that kind); a video's first frame is left out.

    It has no flow: zeros, which would agree with another video's first frame and with nothing else.
    """

    average: Floats
    grid: Floats
    motion: Floats
    flow: Floats

    @classmethod
    def of(cls, values: Floats, blocks: Sequence[int]) -> Frames:
        """Split features (T, D) of the default pooling with flow: average, grid, motion, flow."""
        kept = values[1 : MOST_FRAMES + 1]
        return cls(*(kept[:, columns] for columns in consecutive_slices(blocks)))

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
    """Correlations over time of flow, grid, average and motion; log10 of 1 - cosine of the means of average,
    grid, flow and motion; log10 of the flow's variance over time; the number of frames to the power of -1/2;
    and how far the agreement at this shift is above that at any other."""

    @property
    def terms(self) -> tuple[float, ...]:
        """Terms (14,) of the regression: the facts, correlations by Fisher's z, and products of some."""
        flow, grid, *others = (float(np.arctanh(np.clip(r, -0.999, 0.999))) for r in self.facts[:4])
        moves = self.facts[8]
        return (flow, grid, *others, *self.facts[4:], flow * grid, moves * flow, moves * grid)

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
    shifts = _Shifts.of(len(a) - 1, len(b) - 1, least)
    flow = _PairOfSeries(a.flow, b.flow, shifts)
    if flow.correlations(0.0).max() < PROMISING:
        return None
    grid = _PairOfSeries(a.grid, b.grid, shifts)
    agreements = [flow.correlations(phase) + grid.correlations(phase) for phase in PHASES]
    best = int(np.argmax([agreement.max() for agreement in agreements]))
    at = int(np.argmax(agreements[best]))
    first, other_first, frames = (int(x[at]) for x in (shifts.first, shifts.other_first, shifts.frames))
    here, there = slice(first, first + frames), slice(other_first, other_first + frames)
    pairs = [
        (_between(x, PHASES[best])[here], y[there].astype(np.float64))
        for x, y in ((a.flow, b.flow), (a.grid, b.grid), (a.average, b.average), (a.motion, b.motion))
    ]
    correlations = [_correlation(x, y) for x, y in pairs]
    distances = [_distance(x.mean(0), y.mean(0)) for x, y in (pairs[2], pairs[1], pairs[0], pairs[3])]
    facts = (*correlations, *distances, _movement(*pairs[0]), frames**-0.5, _peak(agreements[best], at))
    return Alignment(first + 1, other_first + 1, frames, facts)


def _between(x: npt.NDArray[np.floating], phase: float) -> Doubles:
    """Features (T - 1, D) at instants that lie this part of a step after those of x (T, D)."""
    found: Doubles = (1 - phase) * x[:-1].astype(np.float64) + phase * x[1:]
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Shifts:
    """All shifts of one series of A instants against another of B with enough in common, (S,) each."""

    diagonal: Indices
    """Which of the A + B - 1 diagonals of all pairs of instants, from the last of B on, each shift is."""
    first: Indices
    other_first: Indices
    frames: Indices

    @classmethod
    def of(cls, A: int, B: int, least: int) -> _Shifts:
        shift = np.arange(least - B, A - least + 1)
        first, other_first = np.maximum(shift, 0), np.maximum(-shift, 0)
        frames = np.minimum(A - first, B - other_first)
        return cls(shift + B - 1, first, other_first, frames)


class _PairOfSeries:
    """Correlations of features a (A + 1, D), between whose instants is interpolated, and b (B + 1, D)."""

    def __init__(self, a: Floats, b: Floats, shifts: _Shifts) -> None:
        self._a, self._shifts = a, shifts
        later = b[:-1].astype(np.float64)
        at, after = _diagonal_sums(a, later)
        self._at, self._after = at[shifts.diagonal], after[shifts.diagonal]
        self._sum_b, self._variance_b = self._moments(later, shifts.other_first)

    def correlations(self, phase: float) -> Doubles:
        """Correlation over the overlap at each shift, (S,)."""
        sum_a, variance_a = self._moments(_between(self._a, phase), self._shifts.first)
        products = (1 - phase) * self._at + phase * self._after
        covariance = products - np.einsum("ij,ij->i", sum_a, self._sum_b) / self._shifts.frames
        found: Doubles = covariance / np.sqrt(np.maximum(variance_a * self._variance_b, 1e-12))
        return found

    def _moments(self, x: Doubles, first: Indices) -> tuple[Doubles, Doubles]:
        """Sums (S, D) over the overlaps, and variances times their frames (S,)."""
        sums, squares = _window_sums(x, first, self._shifts.frames)
        return sums, squares - np.einsum("ij,ij->i", sums, sums) / self._shifts.frames


def _diagonal_sums(a: Floats, b: Doubles) -> tuple[Doubles, Doubles]:
    """Sums of products along diagonals, (A + B - 1,) each: of the first A rows of a and b, and of the last A.

    Args:
        a: Features (A + 1, D).
        b: Features (B, D).
    """
    A, B = len(a) - 1, len(b)
    at, after = np.zeros(A + B - 1), np.zeros(A + B - 1)
    for start in range(0, A, ROWS):
        products = a[start : start + ROWS + 1].astype(np.float64) @ b.T
        n = len(products) - 1
        diagonal = (np.arange(n)[:, None] - np.arange(B) + B - 1).ravel()
        here = slice(start, start + n + B - 1)
        at[here] += np.bincount(diagonal, products[:-1].ravel())
        after[here] += np.bincount(diagonal, products[1:].ravel())
    return at, after


def _peak(agreement: Doubles, at: int) -> float:
    """Agreement (S,) at one shift minus the best at any other but its neighbours."""
    others = agreement[np.abs(np.arange(len(agreement)) - at) > 1]
    return float(agreement[at] - (others.max() if len(others) else 0.0))


def _window_sums(x: Doubles, first: Indices, frames: Indices) -> tuple[Doubles, Doubles]:
    """Sums (n, D) of x (T, D) over n windows, and sums of squares (n,)."""
    sums = np.concatenate([np.zeros((1, x.shape[1])), x.cumsum(0)])
    squares = np.concatenate([[0.0], np.einsum("ij,ij->i", x, x).cumsum()])
    return sums[first + frames] - sums[first], squares[first + frames] - squares[first]


def _correlation(x: Doubles, y: Doubles) -> float:
    """Correlation over time of x and y (T, D), each feature by its own deviation: 0 where nothing moves."""
    x, y = x - x.mean(0), y - y.mean(0)
    deviation = np.sqrt((x * x).mean(0) + (y * y).mean(0))
    deviation = np.maximum(deviation, LEAST_DEVIATION * np.median(deviation) + 1e-6)
    x, y = x / deviation, y / deviation
    return float((x * y).sum() / np.sqrt(max((x * x).sum() * (y * y).sum(), 1e-12)))


def _movement(x: Doubles, y: Doubles) -> float:
    """log10 of how much features x and y (T, D) vary over time: of a still scene, correlations are noise."""
    variance = min(float(x.var(0).sum()), float(y.var(0).sum()))
    return float(np.log10(max(variance, 1e-6)))


def _distance(x: Doubles, y: Doubles) -> float:
    """log10 of 1 - cosine of two mean features (D,), at least -5."""
    lengths = np.linalg.norm(x) * np.linalg.norm(y)
    return float(np.log10(max(1e-5, 1 - float(x @ y) / max(float(lengths), 1e-12))))
