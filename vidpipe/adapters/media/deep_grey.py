"""Contrast stretching of high-bit-depth grey video (10 to 16 bits, floats) by percentiles of the video.

A thermal camera counts from 7,400 to 7,520 of 65,535: eight bits of that are one grey. So reader 2 looks at
the sampled frames twice: first at how their pixels are spread, then with the 0.1th percentile as black and
the 99.9th as white, both of the video, so that a frame does not flicker with what else is in it. A hot pixel
moves neither. Pixels that are no number are black.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import ffmpeg
import numpy as np
import numpy.typing as npt

from vidpipe.adapters.media.process import LimitedProcess

PERCENTILES = (0.1, 99.9)
CHUNK_BYTES = 1 << 20
MOST_PIXELS = 1 << 21
"""Held at once; of longer videos one pixel in 7, 49 … of these, which falls on all columns."""

_INTEGER = re.compile(r"(gray(9|10|12|14|16)|ya16)(le|be)$")
_FLOAT = re.compile(r"(gray|ya)f(16|32)(le|be)$")
INTEGER, FLOAT, FLOAT_RGB = "gray16le", "grayf32le", "gbrpf32le"


@dataclass(frozen=True, slots=True)
class Levels:
    """Black and white levels of the stretch, in the units of the pixels."""

    low: float
    high: float


def deep_format(pix_fmt: str) -> str | None:
    """Pixel format in which a high-bit-depth video is measured and stretched; None for other videos."""
    if pix_fmt in ("gbrpf32le", "gbrpf32be"):
        return FLOAT_RGB
    if _FLOAT.match(pix_fmt):
        return FLOAT
    return INTEGER if _INTEGER.match(pix_fmt) else None


def dtype_of(deep: str) -> npt.DTypeLike:
    """NumPy dtype of a deep format as ffmpeg writes it."""
    return np.dtype("<u2") if deep == INTEGER else np.dtype("<f4")


def levels_of(chunks: Iterable[npt.NDArray[Any]]) -> Levels:
    """Percentiles of all pixels from 1-D chunks, in bounded memory."""
    kept: list[npt.NDArray[Any]] = []
    step = 1
    for chunk in chunks:
        kept.append(chunk[::step].copy())
        if sum(block.size for block in kept) > MOST_PIXELS:
            kept, step = [np.concatenate(kept)[::7].copy()], 7 * step
    pixels = np.concatenate(kept) if kept else np.zeros(0)
    pixels = pixels[np.isfinite(pixels)]
    if not pixels.size:
        return Levels(0.0, 1.0)
    low, high = np.percentile(pixels, PERCENTILES, method="nearest")
    return Levels(float(low), float(high))


def measured(command: list[str], deep: str, wait_s: float, stdin: int) -> Levels:
    """Levels of the pixels that a command writes to stdout in a deep format."""
    process = LimitedProcess(command, wait_s, lambda _: None, stdin=stdin)
    try:
        return levels_of(_chunks(process, dtype_of(deep)))
    finally:
        process.kill()


def _chunks(process: LimitedProcess, dtype: npt.DTypeLike) -> Iterator[npt.NDArray[Any]]:
    buffer = np.empty(CHUNK_BYTES, np.uint8)
    while filled := process.read_into(buffer.data):
        yield buffer[: filled - filled % 4].view(dtype)


def stretched(frames: Any, deep: str, levels: Levels) -> Any:
    """Stretch the frames of an ffmpeg-python stream from `low` (black) to `high` (white).

    Source: https://ffmpeg.org/ffmpeg-filters.html, `lut`; `geq`, since `lut` knows no floats.
    """
    span = levels.high - levels.low
    share = f"({{}}-({levels.low!r}))/{span!r}" if span > 0 else "0"
    if deep == INTEGER:
        clipped = f"clip({share.format('val')}*65535,0,65535)"
        return frames.filter("format", deep).filter("lut", c0=clipped)
    seen = "lum(X,Y)"
    value = f"if(isnan({seen}),0,clip({share.format(seen)},0,1))"
    if deep == FLOAT:
        return frames.filter("format", deep).filter("geq", lum=value)
    copies = frames.filter("format", deep).filter_multi_output("split", 3)
    planes = [
        copies.stream(n).filter("extractplanes", plane).filter("format", FLOAT).filter("geq", lum=value)
        .filter("format", INTEGER)
        for n, plane in enumerate("gbr")
    ]  # fmt: skip
    return ffmpeg.filter(planes, "mergeplanes", "0x001020", "gbrp16le")
