"""Sliding windows over long videos, and a video's scores as the mean over its windows.

Windows have one length and start every `stride_s` seconds from the container's start. The last one is moved
back to end with the video: all have full length, since a short rest would be scored on few frames.

    frames      . . . . . . . . . . . . . . . . . . . . . . . . .
    windows     [---------)
                     [---------)
                          [---------)
                               [---------)
                                      [---------)              <- moved back
                0         |10       |20       |30

Shots of a collection that asks for them are windows, too: each from its start to the next one's, those of
more than ten minutes in equal parts. Their scores count by their frames.

A window without a frame (a gap in the recording) is left out. A video no longer than a window is one window,
as long as itself.

The video's scores are the mean of its windows' scores: the label that fills most of it wins, weighted by the
model's confidence. The mean is a distribution over labels whose confidence does not grow with length, as the
maximum's would; short events are found in the windows' own scores. Where a video may have several labels
there is no such distribution to share out, and its score for a label is the highest of its windows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vidpipe.records.videos import Floats
from vidpipe.records.windows import MAX_WINDOW_S, Windows

DECIMALS = 6
"""Borders are rounded to microseconds, so that the end of one window equals the start of its neighbour."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span `[start_s, end_s)` of a video, and its frames `[first, last)`."""

    start_s: float
    end_s: float
    first: int
    last: int


def windows_of(times_s: npt.NDArray[np.float64], wanted: Windows, sample_fps: float) -> list[Window]:
    """The windows of a video, in order of time.

    Args:
        times_s: Presentation times of its sampled frames, (T,), increasing.
        wanted: Their length and stride.
        sample_fps: The last frame is taken to show for 1/sample_fps seconds: there the video ends.
    """
    seen_s = np.maximum(times_s, 0.0)  # some containers start a little early
    end_s = round(float(seen_s[-1]) + 1 / sample_fps, DECIMALS)
    if wanted.are_shots:
        starts_s, ends_s = _shots_s(wanted.starts_s, end_s)
    else:
        starts_s, ends_s = _strided_s(seen_s, wanted, end_s)
    firsts, lasts = np.searchsorted(seen_s, starts_s), np.searchsorted(seen_s, ends_s)
    found = zip(starts_s.tolist(), ends_s.tolist(), firsts.tolist(), lasts.tolist(), strict=True)
    return [Window(*window) for window in found if window[2] < window[3]]


def _shots_s(
    begins_s: Sequence[float], end_s: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Start and end times of a video's shots, long ones cut into equal parts."""
    borders_s = [b for b in begins_s if b < end_s] + [end_s]
    starts_s = [0.0]
    for begin_s, next_s in zip([0.0, *borders_s[1:-1]], borders_s[1:], strict=True):
        parts = math.ceil((next_s - begin_s) / MAX_WINDOW_S)
        starts_s += np.round(np.linspace(begin_s, next_s, parts + 1)[1:], DECIMALS).tolist()
    return np.array(starts_s[:-1]), np.array(starts_s[1:])


def _strided_s(
    seen_s: npt.NDArray[np.float64], wanted: Windows, end_s: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Start and end times of the windows that may hold a frame; gaps are skipped, for they would cost memory.

    An end is rounded from the exact start, as the next start is, or a frame could lie between the two.
    """
    cells = np.floor(seen_s / wanted.stride_s).astype(np.int64)
    reach = math.ceil(wanted.window_s / wanted.stride_s)
    numbers = np.unique(cells[:, None] - np.arange(reach + 1))
    exact_s = numbers[numbers >= 0] * wanted.stride_s
    ends_s = np.round(exact_s + wanted.window_s, DECIMALS)
    whole = ends_s <= end_s
    starts_s, ends_s = np.round(exact_s, DECIMALS)[whole], ends_s[whole]
    if end_s in ends_s:
        return starts_s, ends_s
    last_s = round(max(0.0, end_s - wanted.window_s), DECIMALS)
    return np.append(starts_s, last_s), np.append(ends_s, end_s)


def frames_of(windows: Sequence[Window], pieces: Iterable[Floats]) -> Iterator[tuple[Window, Floats]]:
    """Yield each window with its frames' features (n, D).

    Args:
        windows: In order of time.
        pieces: The video's features (T_i, D), in order; they are drawn as they are needed, and no more of
            them is held than the window at hand reaches into.
    """
    rest = iter(pieces)
    held, begin = np.zeros((0, 0), np.float32), 0
    for window in windows:
        while begin + len(held) < window.last:
            piece = next(rest)
            kept = held[max(0, window.first - begin) :]
            begin += len(held) - len(kept)
            held = np.concatenate([kept, piece]) if len(kept) else piece
        yield window, held[window.first - begin : window.last - begin]


class WindowScores(Protocol):
    """Scores of a video from those of its windows, given in turn."""

    def add(self, scores: Floats, weight: int = 1) -> None:
        """Add the scores of the next window, (K,), with the weight of so many."""

    def value(self) -> Floats:
        """The video's scores, (K,)."""


def scores_over_windows(multi_label: bool) -> WindowScores:
    """Pool of windows' scores: their mean, or where a video may have several labels their maximum."""
    return MaxScores() if multi_label else MeanScores()


class MaxScores:
    """Running maximum of windows' scores: a video has every label that one of its windows has."""

    def __init__(self) -> None:
        self._most: Floats | None = None

    def add(self, scores: Floats, weight: int = 1) -> None:  # noqa: ARG002  (a short window shows it, too)
        """Add the scores of the next window, (K,)."""
        self._most = scores if self._most is None else np.maximum(self._most, scores)

    def value(self) -> Floats:
        """The maximum, (K,)."""
        assert self._most is not None, "a video has a window"
        return self._most


class MeanScores:
    """Running mean of windows' scores in double precision, with the same bits however they are chunked."""

    def __init__(self) -> None:
        self._sum: npt.NDArray[np.float64] | None = None
        self._weight = 0

    def add(self, scores: Floats, weight: int = 1) -> None:
        """Add the scores of the next window, (K,), with the weight of so many."""
        weighted = scores.astype(np.float64) * weight
        self._sum = weighted if self._sum is None else self._sum + weighted
        self._weight += weight

    def value(self) -> Floats:
        """The mean, (K,)."""
        assert self._sum is not None, "a video has a window"
        found: Floats = (self._sum / self._weight).astype(np.float32)
        return found
