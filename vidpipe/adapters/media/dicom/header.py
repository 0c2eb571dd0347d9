"""DICOM header of a multi-frame file: number of frames, frame times, codec, pixel aspect ratio.

Of all that stands there (names, birthdays, hospitals) only numbers and names of formats leave this module.

Source: DICOM PS3.3 C.7.6.3 (pixels), C.7.6.5 and C.7.6.6 (cine, multi-frame); PS3.6 table A-1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.valuerep import DT

ASSUMED_FPS = 25.0
"""Where the file says no time at all: what ffmpeg takes for streams without timestamps."""
TIME_POINTERS = (0x00181063, 0x00181065)
"""Frame Time and Frame Time Vector, as Frame Increment Pointer names them."""
MOST_BITS = 16
CODECS = {
    "": "rawvideo", ".1": "rawvideo", ".1.98": "rawvideo", ".1.99": "rawvideo", ".2": "rawvideo",
    ".4.50": "mjpeg", ".4.51": "mjpeg", ".4.57": "ljpeg", ".4.70": "ljpeg", ".4.80": "jpegls",
    ".4.81": "jpegls", ".4.90": "jpeg2000", ".4.91": "jpeg2000", ".5": "rle",
    ".4.201": "jpeg2000", ".4.202": "jpeg2000", ".4.203": "jpeg2000",
    ".4.100": "mpeg2video", ".4.100.1": "mpeg2video", ".4.101": "mpeg2video", ".4.101.1": "mpeg2video",
    ".4.102": "h264", ".4.102.1": "h264", ".4.103": "h264", ".4.103.1": "h264", ".4.104": "h264",
    ".4.104.1": "h264", ".4.105": "h264", ".4.105.1": "h264", ".4.106": "h264", ".4.106.1": "h264",
    ".4.107": "hevc", ".4.108": "hevc",
}  # fmt: skip
"""ffmpeg's names of what is in the transfer syntaxes 1.2.840.10008.1.2…. Source: DICOM PS3.6, table A-1."""
ROOT = "1.2.840.10008.1.2"
STREAMS = ("mpeg2video", "h264", "hevc")
"""One stream holds all frames: ffmpeg's business."""
SHARED = (
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "PixelSpacing",
)
"""What enhanced objects keep in functional groups."""


class Refusal(Exception):
    """Refusal of a file: a kind (`no_video`, `unreadable`) and a reason without values of the file."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind, self.words = kind, words


def read_header(file: Path) -> Dataset:
    """All elements before the pixels; those of functional groups that hold for all frames at the top."""
    header = dcmread(file, stop_before_pixels=True)
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in (header.get(groups) or [])[:1]:
            for element in group:
                for item in (element.value or [])[:1] if element.VR == "SQ" else ():
                    for keyword in SHARED:
                        if keyword in item and keyword not in header:
                            header[keyword] = item[keyword]
    return header


def codec_of(header: Dataset) -> str:
    """ffmpeg's name of how the frames are stored."""
    syntax = str(header.file_meta.TransferSyntaxUID)
    codec = CODECS.get(syntax.removeprefix(ROOT)) if syntax.startswith(ROOT) else None
    if codec is None:
        raise Refusal("unreadable", "its transfer syntax is not known")
    return codec


def facts(header: Dataset) -> dict[str, Any]:
    """Video metadata for the table `videos`: numbers and names of formats only."""
    codec = codec_of(header)
    if "Rows" not in header or "Columns" not in header:
        raise Refusal("no_video", "it has no pictures")
    count = int(header.get("NumberOfFrames") or 1)
    if count < 2:
        raise Refusal("no_video", "it is a single picture")
    if codec not in STREAMS:
        depth(header)
        if not get_decoder(header.file_meta.TransferSyntaxUID).is_available:
            raise Refusal(
                "unreadable", f"no decoder of {codec} is there; pip install 'vidpipe[dicom]' brings it"
            )
    times_s, assumed = frame_times(header, count)
    steps = [after - before for before, after in pairwise(times_s)]
    step_s = sorted(steps)[len(steps) // 2]
    duration_s = times_s[-1] + step_s
    return {
        "codec": codec, "frames": count, "width_px": int(header.Columns), "height_px": int(header.Rows),
        "aspect": pixel_aspect(header), "times_assumed": assumed, "duration_s": duration_s,
        "source_fps": count / duration_s, "is_vfr": max(steps) - min(steps) > 0.01 * step_s,
    }  # fmt: skip


def depth(header: Dataset) -> int:
    """Bits of one sample."""
    bits = int(header.get("BitsStored") or 0)
    if not 1 < bits <= MOST_BITS or int(header.get("BitsAllocated") or 0) not in (8, 16):
        raise Refusal("unreadable", f"its samples have {bits} bits, which no reader here takes")
    return bits


def frame_times(header: Dataset, count: int) -> tuple[list[float], bool]:
    """Frame times in seconds from the first frame, and whether they are assumed."""
    if _are_slices(header):
        raise Refusal("no_video", "its frames are slices at different places, not instants")
    for times_s in (_by_vector(header, count), _by_moments(header, count)):
        if times_s:
            return times_s, False
    step_s = _step_s(header, count)
    pointer = header.get("FrameIncrementPointer")
    pointers = [] if pointer is None else list(pointer) if isinstance(pointer, Sequence | list) else [pointer]
    if step_s is None and pointers and not any(int(p) in TIME_POINTERS for p in pointers):
        raise Refusal("no_video", "its frames are slices, pages or views, not instants")
    return [n * (step_s or 1 / ASSUMED_FPS) for n in range(count)], step_s is None


def _are_slices(header: Dataset) -> bool:
    """Whether frames of an enhanced object (CT, MR, PET) lie at different places; a scanner times these, too.

    Source: DICOM PS3.3 C.7.6.16.2.3, Plane Position.
    """
    places = {
        tuple(item.get("ImagePositionPatient") or ())
        for group in header.get("PerFrameFunctionalGroupsSequence") or []
        for item in (group.get("PlanePositionSequence") or [])[:1]
    }
    return len(places) > 1


def _by_vector(header: Dataset, count: int) -> list[float] | None:
    """Frame Time Vector: milliseconds since the frame before, of the first frame 0 (or left out)."""
    value = header.get("FrameTimeVector")
    steps = [] if value is None or isinstance(value, str | float) else [float(step) for step in value]
    if len(steps) == count:
        steps = steps[1:]
    if len(steps) != count - 1 or not all(0 < step < math.inf for step in steps):
        return None
    return [ms / 1000 for ms in accumulate([0.0, *steps])]


def _by_moments(header: Dataset, count: int) -> list[float] | None:
    """Frame Acquisition (or Reference) Date Time of enhanced objects."""
    groups = header.get("PerFrameFunctionalGroupsSequence") or []
    moments = [
        item.get("FrameReferenceDateTime") or item.get("FrameAcquisitionDateTime")
        for group in groups
        for item in (group.get("FrameContentSequence") or [])[:1]
    ]
    if len(moments) != count or not all(moments):
        return None
    instants = [DT(str(moment)) for moment in moments]
    times_s = [(instant - instants[0]).total_seconds() for instant in instants]
    return times_s if all(before < after for before, after in pairwise(times_s)) else None


def _step_s(header: Dataset, count: int) -> float | None:
    """Seconds from frame to frame: Frame Time, Cine Rate, and what else says it."""

    def said(keyword: str) -> float:
        value = float(header.get(keyword) or 0)
        return value if 0 < value < math.inf else 0.0

    rate = said("CineRate") or said("RecommendedDisplayFrameRate")
    for step_s in (said("FrameTime") / 1000, 1 / rate if rate else 0.0, said("ActualFrameDuration") / 1000):
        if step_s:
            return step_s
    return said("EffectiveDuration") / count or None


def pixel_aspect(header: Dataset) -> tuple[int, int]:
    """Width to height of a pixel: the file says it as height, width (row spacing, column spacing)."""
    said = (
        header.get("PixelAspectRatio") or header.get("PixelSpacing") or header.get("ImagerPixelSpacing") or ()
    )
    if len(said) != 2 or not all(0 < float(side) < math.inf for side in said):
        return 1, 1
    high, wide = (round(float(side) * 10_000) for side in said)
    divisor = math.gcd(wide, high)
    return (wide // divisor, high // divisor) if divisor and wide and high else (1, 1)
