"""Where the frames of several videos stand when they are computed side by side, without padding.

    step 0: a b c d │ step 1: a b c │ step 2: a b │ …        a is the longest video

An LSTM takes one step for all videos that still go on; a step's rows stand together. The same order as that
of PyTorch's `PackedSequence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Packing:
    """The rows of videos, the longest of which comes first."""

    lengths: Sequence[int]
    """Frames of each video."""
    alive: Sequence[int]
    """For each step, how many videos go on."""
    starts: Sequence[int]
    """The row where each step begins, and the end."""

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Packing:
        """The packing of videos of these lengths, which never grow."""
        alive = [int((np.asarray(lengths) > step).sum()) for step in range(lengths[0])]
        return cls(list(lengths), alive, [0, *np.cumsum(alive).tolist()])

    def rows_of_videos(self) -> list[Rows]:
        """The rows of each video, in the order of its frames."""
        starts = np.array(self.starts, np.int64)
        return [starts[:length] + place for place, length in enumerate(self.lengths)]

    def order(self, rows: int) -> Rows:
        """For each of `rows` rows, where it stands when the videos stand one behind the other."""
        order = np.arange(rows)
        begin = 0
        for of_video in self.rows_of_videos():
            order[of_video] = np.arange(begin, begin := begin + len(of_video))
        return order

    def mirrored(self, rows: int) -> Rows:
        """For each of `rows` rows, the row of the same video's frame as far from its end.

        Rows behind the last frame stay.
        """
        mirror = np.arange(rows)
        for of_video in self.rows_of_videos():
            mirror[of_video] = of_video[::-1]
        return mirror
