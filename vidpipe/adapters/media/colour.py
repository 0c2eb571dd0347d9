"""Colour conversion of videos: HDR to SDR tone mapping, and BT.709 or BT.601 for streams without tags.

Used by reader 2. A stream's own tags, and those of its first frame, say how its numbers become colours. Where
they are missing, the size decides, as in players: HD is BT.709, SD is BT.601 (ffmpeg's own choice for both).

HDR (PQ, HLG) becomes SDR by one fixed curve, whatever the file's metadata say of peaks: light in cd/m2 over
the reference white of 203 (BT.2408), straight up to 0.3 of it, from there a Moebius curve that reaches white
at 1,000 cd/m2, then the gamma of 2.4 of an SDR display (BT.1886). Grey of 100 cd/m2 becomes 184 of 255, the
reference white 217. (ffmpeg's `scale` by itself cuts off at the reference white, and follows no curve that is
written down.)

Source: ITU-R BT.2408, 2.2; ITU-R BT.1886; https://ffmpeg.org/ffmpeg-filters.html#tonemap-1 and #zscale-1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vidpipe.adapters.media.deep_grey import deep_format

REFERENCE_WHITE_NITS = 203
PEAK = 1000 / REFERENCE_WHITE_NITS
KNEE = 0.3
HD_WIDTH_PX, HD_HEIGHT_PX = 1280, 577
"""From here on a picture is HD: one side is enough, since phones film upright."""

_PICTURE = re.compile(r", (\w+)(?:\(([^()]*)\))?, (\d+)x(\d+)[ ,]")
"""Pixel format, its notes, width and height in ffmpeg's line of a stream. Source: libavcodec/avcodec.c."""
_HDR = ("smpte2084", "arib-std-b67")
_MATRICES = ("bt709", "fcc", "bt470bg", "smpte170m", "smpte240m", "bt2020nc", "bt2020c", "gbr")
_PRIMARIES = (
    "bt709",
    "bt470m",
    "bt470bg",
    "smpte170m",
    "smpte240m",
    "film",
    "bt2020",
    "smpte431",
    "smpte432",
)
_YUV = ("yuv", "nv", "p0", "p2", "p4", "uyvy", "uyyvyy", "yvyu", "y2", "y4", "xyuv", "ayuv", "vuy", "xv")
"""How pixel formats with luma and chroma begin."""


@dataclass(frozen=True, slots=True)
class Tags:
    """Colour tags of a stream; `unknown` where a tag is missing."""

    pix_fmt: str
    matrix: str = "unknown"
    primaries: str = "unknown"
    transfer: str = "unknown"
    width_px: int = 0
    height_px: int = 0

    @classmethod
    def parse(cls, line: str) -> Tags:
        """Parse ffmpeg's log line `Stream #0:0: Video: h264, yuv420p(tv, bt709, progressive), 64x48 …`."""
        found = _PICTURE.search(line)
        if not found:
            return cls("unknown")
        matrix, primaries, transfer = _colours(found[2] or "")
        return cls(found[1], matrix, primaries, transfer, int(found[3]), int(found[4]))

    def seen_in(self, frame: Mapping[str, str]) -> Tags:
        """With what a frame says of its `space`, `primaries` and `trc`, where it says something."""
        said = {name: value for name, value in frame.items() if value not in ("unknown", "reserved")}
        return replace(
            self, matrix=said.get("space", self.matrix), primaries=said.get("primaries", self.primaries),
            transfer=said.get("trc", self.transfer),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """Conversion of a stream's pixels to RGB; ffmpeg's own where nothing is set."""

    matrix: str | None = None
    """Of luma and chroma, said to ffmpeg, which would choose another where the stream does not say it."""
    hdr: Tags | None = None
    """The full tags of a PQ or HLG picture."""
    deep: str | None = None
    """A deep grey picture, whose contrast is stretched: see grey.py."""


PLAIN, HD = Look(), Look(matrix="bt709")


def look_of(tags: Tags) -> Look:
    """Choose the conversion for a stream with these tags."""
    if deep := deep_format(tags.pix_fmt):
        return Look(deep=deep)
    if tags.transfer in _HDR:
        known = tags.pix_fmt.startswith(_YUV)
        matrix = tags.matrix if tags.matrix in _MATRICES else "bt2020nc" if known else "gbr"
        primaries = tags.primaries if tags.primaries in _PRIMARIES else "bt2020"
        return Look(hdr=Tags(tags.pix_fmt, matrix, primaries, tags.transfer))
    is_hd = tags.width_px >= HD_WIDTH_PX or tags.height_px >= HD_HEIGHT_PX
    if is_hd and tags.matrix in ("unknown", "bt709") and tags.pix_fmt.startswith(_YUV):
        return HD
    return PLAIN


def likely_look(pixels: int) -> Look:
    """Guess the conversion before a frame is seen, by the pixels of one; 0 where they are not known.

    A wrong guess costs one more start of ffmpeg, a tenth of a second, and changes no bit.
    """
    return HD if pixels >= HD_WIDTH_PX * HD_HEIGHT_PX else PLAIN


def scaled(frames: Any, size_px: tuple[int, int], flags: str, look: Look) -> Any:
    """Scale the frames of an ffmpeg-python stream to a width and height, converted by `look`."""
    if look.hdr:
        return _tone_mapped(frames, size_px, flags, look.hdr)
    matrix = {"in_color_matrix": look.matrix} if look.matrix else {}
    return frames.filter("scale", *size_px, flags=flags, **matrix)


def _tone_mapped(frames: Any, size_px: tuple[int, int], flags: str, tags: Tags) -> Any:
    """Tone-map after resizing, with chroma at full resolution: 4K costs no more than a small video."""
    tagged = frames.filter(
        "setparams", colorspace=tags.matrix, color_primaries=tags.primaries, color_trc=tags.transfer
    )
    small = tagged.filter("scale", *size_px, flags=flags)
    deep = small.filter("format", "gbrp12le" if tags.matrix == "gbr" else "yuv444p12le")
    light = deep.filter("zscale", transfer="linear", npl=REFERENCE_WHITE_NITS).filter("format", "gbrpf32le")
    mapped = light.filter("zscale", primaries="bt709").filter(
        "tonemap", "mobius", param=KNEE, peak=f"{PEAK:.6f}", desat=0
    )
    return (
        mapped.filter("zscale", transfer="bt709", matrix="gbr", range="pc")
        .filter("format", "gbrp")
        .filter("format", "rgb24")
    )


def _colours(notes: str) -> tuple[str, str, str]:
    """Parse matrix, primaries and transfer: three names, or one for all."""
    for note in notes.split(", "):
        if note.count("/") == 2:
            matrix, primaries, transfer = note.split("/")
            return matrix, primaries, transfer
        if note in _MATRICES:
            return note, note, note
    return "unknown", "unknown", "unknown"
