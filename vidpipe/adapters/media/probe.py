"""Video metadata from ffprobe's JSON: choice of the stream, size, rate, rotation."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from vidpipe.adapters.media.recording_tags import recording_facts, recording_tag
from vidpipe.adapters.media.signatures import GREY_16_TAGS, RAW_DEMUXERS
from vidpipe.errors import NoVideoStream, Unreadable
from vidpipe.records.videos import MediaFacts

INDEXED = ("mov,", "avi", "ser", "cine", "gif")
"""Demuxers whose `nb_frames` is counted by the container's index, not by a tag that an editor left behind."""

MILLISECONDS, CLOCKED = 1000.0, ("asf", "flv", "matroska")
"""Containers whose times are counted in milliseconds."""
FIELD_CODECS = ("mpeg1video", "mpeg2video", "h264", "vc1", "wmv3")
"""Codecs whose pictures may be two fields. Source: libavcodec/codec_desc.c, AV_CODEC_PROP_FIELDS."""
BAYER = re.compile(r"BA81|BYR\d|RGGB|BGGR|GBRG|GRBG|(?:BG|GB|RG|GR|BA|BY|pB|pG|pR)\d\d")
"""FourCCs of unprocessed sensor pictures. Source: the V4L2 and the Windows lists of raw Bayer formats."""


def has_rivals(answer: bytes) -> bool:
    """Whether several streams may be the main video, so that their packets must be counted."""
    try:
        probed = json.loads(answer or b"{}")
    except ValueError:
        return False
    return sum(_is_moving_picture(stream) for stream in probed.get("streams", [])) > 1


def media_facts(file: Path, answer: bytes, *, times_assumed: bool = False) -> MediaFacts:
    """Metadata of the main video stream in ffprobe's JSON.

    Args:
        file: Its name stands in errors.
        answer: JSON.
        times_assumed: The file is known to have no times, other than of raw streams.

    Raises:
        Unreadable: The answer is no JSON, or names no stream at all.
        NoVideoStream: None of the streams is a moving picture.
    """
    probed = _parsed(file, answer)
    streams = [s for s in probed.get("streams", []) if _is_moving_picture(s)]
    if not streams:
        kinds = sorted({str(s.get("codec_type")) for s in probed.get("streams", [])})
        if not kinds:
            raise Unreadable(f"{file.name} holds no stream: its index is empty, or cut off.")
        raise NoVideoStream(f"{file.name} has no video stream, only {', '.join(kinds)}.")
    stream, container = max(streams, key=_weight), probed.get("format", {})
    if not _codec(stream):
        raise Unreadable(
            f"{file.name} holds pictures in the pixel format {_tag(stream)}, which is not decoded.",
            next_step="convert it with the camera's own program, for example to MP4.",
        )
    name = str(container.get("format_name", ""))
    rotation, mirrored = _orientation(stream)
    upright = rotation not in (90, 270)
    stored = int(stream.get("width") or 0), int(stream.get("height") or 0)
    width, height = stored if upright else stored[::-1]
    display_width, display_height = _square(*stored, stream.get("sample_aspect_ratio"))
    nominal, average = _rates(stream, name)
    assumed = times_assumed or name in RAW_DEMUXERS
    recorded_at, recorded_text = recording_facts(recording_tag(container, stream))
    duration_s = _positive(stream.get("duration")) or _positive(container.get("duration"))
    return MediaFacts(
        container=name,
        video_codec=_codec(stream),
        width_px=width,
        height_px=height,
        rotation=rotation,
        source_fps=average or nominal,
        is_vfr=_varies(nominal, average, _codec(stream)) if nominal and average and not assumed else None,
        duration_s=None if assumed else duration_s,
        frames_expected=int(_positive(stream.get("nb_frames")) or 0) or None
        if name.startswith(INDEXED)
        else None,
        stream_index=int(stream.get("index") or 0),
        stream_count=len(streams),
        mirrored=mirrored,
        field_order=_said(stream.get("field_order")),
        sample_aspect_ratio=_said(stream.get("sample_aspect_ratio")),
        display_width_px=display_width if upright else display_height,
        display_height_px=display_height if upright else display_width,
        times_assumed=assumed,
        recorded_at=recorded_at,
        recorded_text=recorded_text,
    )


def _weight(stream: dict[str, Any]) -> tuple[bool, bool, float, bool, int]:
    """Sort key of the main stream: decodable, no still, pixels times packets; then default, first."""
    packets = int(_positive(stream.get("nb_read_packets")) or 0)
    pixels = int(stream.get("width") or 0) * int(stream.get("height") or 0)
    default = bool(stream.get("disposition", {}).get("default"))
    index = int(stream.get("index") or 0)
    return bool(_codec(stream)), packets > 1, float(pixels * packets), default, -index


def _codec(stream: dict[str, Any]) -> str:
    """ffmpeg's codec name; empty where it has no decoder."""
    name = str(stream.get("codec_name") or "")
    if name in ("", "unknown", "none"):
        return "rawvideo" if stream.get("codec_tag_string") in GREY_16_TAGS else ""
    return name


def _tag(stream: dict[str, Any]) -> str:
    tag = str(stream.get("codec_tag_string"))
    return f"{tag.strip()!r} (raw Bayer)" if BAYER.match(tag) else repr(tag.strip())


def _square(width: int, height: int, ratio: str | None) -> tuple[int, int]:
    """Display size with square pixels: the shorter side is stretched, as players do."""
    share = _rate((ratio or "").replace(":", "/") or None) or 1.0
    return (round(width * share), height) if share >= 1 else (width, round(height / share))


def _said(value: object) -> str | None:
    """A value, or None where ffprobe reports none."""
    return None if value in (None, "unknown", "N/A", "0:1") else str(value)


def _parsed(file: Path, text: bytes) -> dict[str, Any]:
    try:
        probed = json.loads(text or b"{}")
    except ValueError:
        raise Unreadable(f"{file.name}: ffprobe's answer of {len(text)} bytes is no JSON.") from None
    return dict(probed)


def _is_moving_picture(stream: dict[str, Any]) -> bool:
    """Whether a stream is video, and no cover, thumbnail or still."""
    disposition = stream.get("disposition", {})
    still = any(disposition.get(name) for name in ("attached_pic", "timed_thumbnails", "still_image"))
    return stream.get("codec_type") == "video" and not still


def _orientation(stream: dict[str, Any]) -> tuple[int, bool]:
    """Rotation in degrees clockwise, and whether the picture is mirrored before it is rotated.

    ffprobe's own `rotation` counts counterclockwise, and takes a flip for half a turn. Of the display matrix
    (a b u, c d v, x y w) a negative determinant ad - bc is a flip.
    Source: ISO/IEC 14496-12, 8.2.2; libavutil/display.h.
    """
    for data in stream.get("side_data_list", []):
        if "rotation" in data:
            return _of_matrix(data)
    return round(float(stream.get("tags", {}).get("rotate", 0))) % 360, False


def _of_matrix(data: dict[str, Any]) -> tuple[int, bool]:
    numbers = [
        int(n) for line in str(data.get("displaymatrix", "")).split("\n") for n in line.split(":")[-1].split()
    ]
    turned = round(-float(data["rotation"])) % 360
    if len(numbers) < 5:
        return turned, False
    a, b, _, c, d = numbers[:5]
    if a * d - b * c >= 0:
        return turned, False
    return round(math.degrees(math.atan2(-b, -a))) % 360, True


def _rates(stream: dict[str, Any], container: str) -> tuple[float | None, float | None]:
    """The least rate of which all times are multiples, and the mean; a clock of milliseconds is no rate."""
    nominal, average = _rate(stream.get("r_frame_rate")), _rate(stream.get("avg_frame_rate"))
    if nominal and average and average > 1.01 * nominal:
        return nominal, nominal  # raw DV: ffprobe says 60,000 a second
    is_clock = nominal == MILLISECONDS and not average and container.startswith(CLOCKED)
    return (None if is_clock else nominal), average


def _varies(nominal: float, average: float, codec: str) -> bool:
    """Whether frames come at other distances than the mean; codecs with fields may count these instead."""
    fields = codec in FIELD_CODECS and abs(nominal - 2 * average) <= 0.001 * nominal
    return abs(nominal - average) > 0.01 * average and not fields


def _rate(text: str | None) -> float | None:
    numerator, _, denominator = (text or "0/0").partition("/")
    if not float(denominator or 1):
        return None
    return float(numerator) / float(denominator or 1) or None


def _positive(text: str | None) -> float | None:
    try:
        value = float(text or 0)
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None
