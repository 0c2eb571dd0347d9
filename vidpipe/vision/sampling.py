"""Frame sampling at a fixed rate by presentation time, right for variable frame rates.

Time since the first frame is cut into cells of 1/fps seconds, and the first frame that falls into a
cell is sampled. A cell without a frame gives none: nothing is interpolated, no frame is taken twice.

    cell        0         |1         |2         |3
    frames      a   b   c |    d   e |          |f   g        (uneven spacing: variable frame rate)
    sampled     a              d                 f

The times that travel with the frames are their own presentation times, never index / fps.
The same rule stands twice on purpose: `sampled_indices` is the definition, `select_expression` is what
ffmpeg runs; a test holds one to the other on real videos.
"""

import math
from collections.abc import Sequence

EDGE_S = 1e-6
"""A frame this close below a cell's edge counts as on it: times arrive rounded to a time base."""


class Sampler:
    """Decides frame after frame whether it is sampled."""

    def __init__(self, sample_fps: float, start_s: float) -> None:
        self._fps, self._start_s, self._last_cell = sample_fps, start_s, -1

    def takes(self, time_s: float) -> bool:
        """Whether the frame that shows at `time_s` is sampled; asked once for each, in order."""
        if math.isnan(time_s):
            return False
        cell = int((time_s - self._start_s + EDGE_S) * self._fps)
        is_new = cell > self._last_cell
        self._last_cell = max(cell, self._last_cell)
        return is_new


def sampled_indices(times_s: Sequence[float], sample_fps: float) -> list[int]:
    """Indices of the sampled frames of a video with presentation times `times_s` (increasing)."""
    sampler = Sampler(sample_fps, times_s[0] if times_s else 0.0)
    return [index for index, time_s in enumerate(times_s) if sampler.takes(time_s)]


def select_expression(sample_fps: float, start_s: float | None = None) -> str:
    """The sampling rule as an expression of ffmpeg's `select` filter.

    ffmpeg builds its filters anew when the picture changes its size: `start_t` and `prev_selected_t` begin
    again there. With the first frame's time as a constant the cells stay the same, and only the first frame
    after a change may be one too many, which `Sampler` tells.

    Source: https://ffmpeg.org/ffmpeg-filters.html#select_002c-aselect (`t`, `start_t`,
    `prev_selected_t`). `start_t` is unset on the first frame, which `isnan` accepts.

    Args:
        sample_fps: One frame per 1/sample_fps seconds.
        start_s: When the first frame shows; None: as ffmpeg finds it.
    """
    start = "start_t" if start_s is None else f"({start_s!r})"
    cell = f"floor(({{}}-{start}+{EDGE_S})*{sample_fps:.9g})"
    return f"isnan(prev_selected_t)+gt({cell.format('t')},{cell.format('prev_selected_t')})"


KEYFRAME_GAP_S = 2.0
"""Key frames further apart than this say too little of a video: many clips last but a few seconds."""


class KeyframeGaps:
    """Check that the key frames of a stream are dense enough to be sampled alone, packet by packet.

    A stream of key frames alone has nothing to skip: it is decoded in full, whatever its flags are worth. So
    is one whose clock runs backwards, as where two recordings were joined.

    Attributes:
        times_s: Of the key frames.
    """

    def __init__(self, most_gap_s: float) -> None:
        self._most_gap_s = most_gap_s
        self.times_s: list[float] = []
        self._start_s = self._end_s = -math.inf
        self._packets = 0
        self.is_sparse = False
        """By now; what follows cannot mend it."""

    def add(self, time_s: float, duration_s: float, *, is_key: bool) -> None:
        """The next packet that will be shown, in the order of the file."""
        self._start_s = time_s if not self._packets else self._start_s
        self._packets += 1
        self._end_s = max(self._end_s, time_s + duration_s)
        if math.isnan(time_s):
            self.is_sparse = True
        elif is_key:
            is_back = bool(self.times_s) and time_s < self.times_s[-1]
            self.is_sparse = self.is_sparse or is_back or self._is_gap(time_s)
            self.times_s.append(time_s)

    @property
    def suffice(self) -> bool:
        """Whether the key frames do, now that all packets have been seen."""
        return 0 < len(self.times_s) < self._packets and not self.is_sparse and not self._is_gap(self._end_s)

    def _is_gap(self, until_s: float) -> bool:
        since_s = self.times_s[-1] if self.times_s else self._start_s
        return until_s - since_s > self._most_gap_s + EDGE_S


MEGAPIXELS_A_SAMPLE = 2.0
"""Decoding so many costs about what the CNN needs for one sampled frame (README, Speed)."""


def expected_cost(
    duration_s: float | None, frames: int | None, pixels: int, sample_fps: float, *, key_frames: bool = False
) -> float:
    """Estimated cost of a video in sampled frames: embedding those, and decoding all in between."""
    samples = expected_samples(duration_s, frames, sample_fps)
    decoded_megapixels = (samples if key_frames else frames or 0) * pixels / 1e6
    return samples + decoded_megapixels / MEGAPIXELS_A_SAMPLE


def expected_samples(duration_s: float | None, frames: int | None, sample_fps: float) -> int:
    """Estimated number of sampled frames of a video, for cost only."""
    by_time = int(duration_s * sample_fps) + 1 if duration_s and duration_s > 0 else None
    if by_time is None:
        return max(1, frames or 1)
    return max(1, min(by_time, frames or by_time))
