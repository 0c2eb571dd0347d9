"""Writer of WebVTT: a subtitle file for each video, whose cues are its labels, for any player."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vidpipe.adapters.exchange.files import write_text
from vidpipe.adapters.exchange.segments import Segment, predicted_segments
from vidpipe.ports.outcome import NamedQuery

Cue = tuple[float, float, str]
"""Start and end in seconds, and the text."""


def webvtt(read: NamedQuery, folder: Path, collection: str | None) -> list[dict[str, Any]]:
    """Write `COLLECTION/PATH.vtt` for each classified video: its timeline, or one cue for all of a short one.

    Source: https://www.w3.org/TR/webvtt1/#file-structure

    Raises:
        StorageFailed: The folder cannot be written.
    """
    videos = read("export_videos", collection=collection)
    written = []
    for (name, path), segments in sorted(predicted_segments(read, collection, videos).items()):
        file = folder / name / f"{path}.vtt"
        text = vtt((s.start_s, s.end_s, _text(s)) for s in segments)
        written.append({"file": str(file), **write_text(file, text), "rows": len(segments)})
    return written


def vtt(cues: Iterable[Cue]) -> str:
    """Text of a WebVTT file; a cue that would not last a millisecond is left out."""
    shown = [(_time(start), _time(end), text) for start, end, text in sorted(cues)]
    blocks = [f"{start} --> {end}\n{text}" for start, end, text in shown if end > start]
    return "\n\n".join(["WEBVTT", *blocks]) + "\n"


def _text(segment: Segment) -> str:
    """Label and score in one line; the characters that mean something in a cue are escaped."""
    label = " ".join(segment.label.split()) or "(blank)"
    escaped = label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{escaped} {segment.score:.2f}"


def _time(seconds: float) -> str:
    """HH:MM:SS.mmm; of hours two digits or more."""
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{ms:03}"
