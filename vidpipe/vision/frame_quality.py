"""Detection of black, frozen and blank frames while a video is decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from vidpipe.records.videos import Pixels

BLACK_LEVEL = 0.10 * 255
BLACK_PIXELS = 0.98
"""Source: defaults of https://ffmpeg.org/ffmpeg-filters.html#blackdetect (pix_th, pic_th)."""
FROZEN_NOISE = 0.001 * 255
"""Source: default of https://ffmpeg.org/ffmpeg-filters.html#freezedetect (noise, -60 dB)."""
UNIFORM_RANGE = 1
"""Values of 255 between the darkest and the brightest pixel of a frame that shows nothing: rounding."""
STEP_PX = 4
"""One pixel in four each way tells as much, at a sixteenth of the cost."""


class PictureStats:
    """Counts black and frozen frames of one video, one frame after the other."""

    def __init__(self) -> None:
        self._frames = self._black = self._frozen = 0
        self.is_blank = True
        self._last: np.ndarray[tuple[int, ...], np.dtype[np.int16]] | None = None

    def add(self, pixels: Pixels) -> None:
        """Count the next frame, uint8 (H, W, 3); the first of its views decides on black and frozen."""
        self.is_blank = self.is_blank and _is_uniform(pixels)
        small = pixels[: pixels.shape[1]][::STEP_PX, ::STEP_PX].astype(np.int16)
        self._frames += 1
        self._black += bool((small.max(axis=2) < BLACK_LEVEL).mean() >= BLACK_PIXELS)
        if self._last is not None and self._last.shape == small.shape:
            self._frozen += bool(np.abs(small - self._last).mean() <= FROZEN_NOISE)
        self._last = small

    def watching(self, frames: Iterable[tuple[float, Pixels]]) -> Iterator[tuple[float, Pixels]]:
        """Count frames as they pass."""
        for time_s, pixels in frames:
            self.add(pixels)
            yield time_s, pixels

    @property
    def black_share(self) -> float:
        """Share of frames that are black."""
        return self._black / self._frames if self._frames else 0.0

    @property
    def frozen_share(self) -> float:
        """Share of frames, without the first, that equal the one before."""
        return self._frozen / (self._frames - 1) if self._frames > 1 else 0.0


def _is_uniform(pixels: Pixels) -> bool:
    """Whether each of the views, one below the other, is of one value; of sizes that differ, the first."""
    side = pixels.shape[1]
    views = pixels.reshape(-1, side, side, 3) if len(pixels) % side == 0 else pixels[None, :side]
    low, high = views.min(axis=(1, 2)).astype(np.int16), views.max(axis=(1, 2)).astype(np.int16)
    return bool((high - low).max() <= UNIFORM_RANGE)
