"""What ffprobe's answer says of a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vidpipe.errors import NoVideoStream, Unreadable
from vidpipe.records.videos import MediaFacts


def media_facts(file: Path, answer: bytes) -> MediaFacts:
    """The facts of the first video stream in ffprobe's answer.

    Raises:
        Unreadable: The answer is no JSON.
        NoVideoStream: There is none.
    """
    probed = _parsed(file, answer)
    streams = [s for s in probed.get("streams", []) if _is_moving_picture(s)]
    if not streams:
        kinds = sorted({str(s.get("codec_type")) for s in probed.get("streams", [])})
        raise NoVideoStream(f"{file.name} has no video stream, only {', '.join(kinds) or 'nothing'}.")
    stream, container = streams[0], probed.get("format", {})
    rotation = _rotation(stream)
    width, height = int(stream.get("width") or 0), int(stream.get("height") or 0)
    nominal, average = _rate(stream.get("r_frame_rate")), _rate(stream.get("avg_frame_rate"))
    duration_s = _positive(stream.get("duration")) or _positive(container.get("duration"))
    fps = average or nominal
    counted = int(_positive(stream.get("nb_frames")) or 0)
    return MediaFacts(
        container=str(container.get("format_name", "")),
        video_codec=str(stream.get("codec_name", "unknown")),
        width_px=height if rotation in (90, 270) else width,
        height_px=width if rotation in (90, 270) else height,
        rotation=rotation,
        source_fps=fps,
        is_vfr=abs(nominal - average) > 0.01 * average if nominal and average else None,
        duration_s=duration_s,
        frames_expected=counted or (round(duration_s * fps) if duration_s and fps else None),
    )


def _parsed(file: Path, text: bytes) -> dict[str, Any]:
    try:
        probed = json.loads(text or b"{}")
    except ValueError:
        raise Unreadable(f"{file.name}: ffprobe's answer of {len(text)} bytes is no JSON.") from None
    return dict(probed)


def _is_moving_picture(stream: dict[str, Any]) -> bool:
    attached = stream.get("disposition", {}).get("attached_pic")
    return stream.get("codec_type") == "video" and not attached


def _rotation(stream: dict[str, Any]) -> int:
    """Degrees clockwise; the display matrix counts the other way round."""
    for data in stream.get("side_data_list", []):
        if "rotation" in data:
            return round(-float(data["rotation"])) % 360
    return round(float(stream.get("tags", {}).get("rotate", 0))) % 360


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
