"""Single frames as small JPEGs, decoded as the classifier sees them: the same stream, colours and shape.

Not every format can be sought in, and in some ffmpeg lands behind the time (MPEG-TS). So three ways to a time
are tried in turn: ffmpeg's own seek, decoding from the start up to there, and the first frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from vidpipe.adapters.media.commands import Input, still_command, still_pixels_command
from vidpipe.adapters.media.decoding import Decoding, Pass, Source
from vidpipe.adapters.media.deep_grey import Levels, measured
from vidpipe.adapters.media.log import FfmpegLog
from vidpipe.errors import VideoError
from vidpipe.records.videos import MediaFacts, Pixels

STILL_PX = 160
STILL_WAIT_S = 10.0
JPEG_QUALITY = 80
STRIP_FRAMES = 10
"""Frames of a filmstrip, spread evenly over the video; `browse.js` shows one after the other."""
STRIP_PX = 320
STRIP_QUALITY = 70
LATE_S = 0.5
"""A frame that shows so much later than asked for is looked for in the next way, too."""


@dataclass(frozen=True, slots=True)
class Position:
    """Position of a still in a video, and how ffmpeg gets there."""

    seek_s: float = 0.0
    """Sought in the container, before anything is decoded."""
    skip_s: float = 0.0
    """Decoded, and not looked at."""

    def opened(self, source: Input) -> Input:
        """The input, sought. No `-ss 0`: raw streams and animated WebP give no frame after it."""
        seek = {"ss": f"{self.seek_s:.3f}"} if self.seek_s else {}
        return replace(source, options={**source.options, **seek})


def positions_of(at_s: float) -> Sequence[Position]:
    """Positions to try for a time, the cheapest first; the last one is another time's."""
    return (Position(seek_s=at_s), Position(skip_s=at_s), Position()) if at_s > 0 else (Position(),)


def still_size(facts: MediaFacts, longer_px: int = STILL_PX) -> tuple[int, int]:
    """Width and height in square pixels, the longer one `longer_px`."""
    width, height = facts.display_width_px or facts.width_px, facts.display_height_px or facts.height_px
    share = longer_px / max(width, height)
    return max(1, round(width * share)), max(1, round(height * share))


def strip_times(duration_s: float | None) -> list[float]:
    """Times in seconds of a filmstrip's frames: the middles of equal parts of the video."""
    return [(n + 0.5) / STRIP_FRAMES * (duration_s or 0.0) for n in range(STRIP_FRAMES)]


def joined(frames: Sequence[Pixels | None]) -> bytes:
    """Frames of one size side by side as a JPEG, a missing one as its neighbour; empty where all are."""
    shown = [frame for frame in frames if frame is not None]
    if not shown:
        return b""
    last, tiles = shown[0], []
    for frame in frames:
        last = last if frame is None else frame
        tiles.append(last)
    return jpeg(np.concatenate(tiles, axis=1), STRIP_QUALITY)


def frame_at(
    ffmpeg: str, file: Path, source: Source, facts: MediaFacts, at_s: float, longer_px: int = STILL_PX
) -> Pixels | None:
    """The frame at a time as RGB, uint8 (height, width, 3); None where nothing decodes."""
    best: tuple[float, Pixels] | None = None
    for position in positions_of(at_s):
        found = _frame_at(ffmpeg, file, source, facts, position, still_size(facts, longer_px))
        best = best or found
        if found and found[0] <= LATE_S:
            return found[1]
    return best[1] if best else None


def _frame_at(
    ffmpeg: str, file: Path, source: Source, facts: MediaFacts, at: Position, size: tuple[int, int]
) -> tuple[float, Pixels] | None:
    """Decode one frame; returns its lateness in seconds, and RGB pixels, uint8 (height, width, 3)."""
    width, height = size

    def command(what: Input, _: int, now: Pass) -> list[str]:
        return still_command(
            ffmpeg, at.opened(what), (width, height), skip_s=at.skip_s, stream_index=facts.stream_index,
            look=now.look, levels=now.levels,
        )  # fmt: skip

    def levels(deep: str, _: Pass) -> Levels:
        with source.opened(FfmpegLog()) as (what, stdin):
            pixels = still_pixels_command(ffmpeg, at.opened(what), deep, at.skip_s, facts.stream_index)
            return measured(pixels, deep, STILL_WAIT_S, stdin)

    decoding = Decoding(
        command, file, source, (height, width, 3), STILL_WAIT_S, None, 1.0, facts.stream_index,
        levels=levels,
    )  # fmt: skip
    try:
        with closing(iter(decoding)) as frames:
            time_s, pixels = next(frames)
            return time_s - at.skip_s, pixels
    except VideoError:
        return None


def jpeg(pixels: Pixels, quality: int = JPEG_QUALITY) -> bytes:
    """Encode RGB pixels of shape (height, width, 3)."""
    written = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(written, "JPEG", quality=quality)
    return written.getvalue()
