"""Packed sequences: row order of frames of several videos in one LSTM batch, without padding.

    step 0: a b c d │ step 1: a b c │ step 2: a b │ …        a is the longest video

An LSTM takes one step for all videos that have frames left; a step's rows stand together. The same order as
that of PyTorch's `PackedSequence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Packing:
    """Row indices of packed videos, the longest first."""

    lengths: Sequence[int]
    """Frames of each video."""
    alive: Sequence[int]
    """For each step, how many videos go on."""
    starts: Sequence[int]
    """The row where each step begins, and the end."""

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Packing:
        """Pack videos of these lengths, in falling order."""
        alive = [int((np.asarray(lengths) > step).sum()) for step in range(lengths[0])]
        return cls(list(lengths), alive, [0, *np.cumsum(alive).tolist()])

    def rows_of_videos(self) -> list[Rows]:
        """The rows of each video, in the order of its frames."""
        starts = np.array(self.starts, np.int64)
        return [starts[:length] + place for place, length in enumerate(self.lengths)]

    def order(self, rows: int) -> Rows:
        """For each of `rows` packed rows, its index when the videos are concatenated."""
        order = np.arange(rows)
        begin = 0
        for of_video in self.rows_of_videos():
            order[of_video] = np.arange(begin, begin := begin + len(of_video))
        return order

    def mirrored(self, rows: int) -> Rows:
        """For each of `rows` packed rows, the row of its mirrored frame in the same video (time reversal).

        Rows behind the last frame stay.
        """
        mirror = np.arange(rows)
        for of_video in self.rows_of_videos():
            mirror[of_video] = of_video[::-1]
        return mirror
