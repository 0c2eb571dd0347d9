"""Writer of WebVTT: a subtitle file for each video, whose cues are its labels, for any player."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vidpipe.adapters.exchange.files import write_text
from vidpipe.ports.outcome import NamedQuery

Cue = tuple[float, float, str]
"""Start and end in seconds, and the text."""


def webvtt(read: NamedQuery, folder: Path, collection: str | None) -> list[dict[str, Any]]:
    """Write `COLLECTION/PATH.vtt` for each classified video: its timeline, or one cue for all of a short one.

    Source: https://www.w3.org/TR/webvtt1/#file-structure

    Raises:
        StorageFailed: The folder cannot be written.
    """
    cues: dict[tuple[str, str], list[Cue]] = defaultdict(list)
    for row in read("export_segments", collection=collection):
        cues[row["collection"], row["path"]].append((row["start_s"], row["end_s"], _text(row, "peak_score")))
    for row in read("export_videos", collection=collection):
        key = (row["collection"], row["path"])
        if row["predicted"] is not None and key not in cues and row["duration_s"]:
            cues[key].append((0.0, row["duration_s"], _text({**row, "label": row["predicted"]}, "score")))
    written = []
    for (name, path), of_video in sorted(cues.items()):
        file = folder / name / f"{path}.vtt"
        written.append({"file": str(file), **write_text(file, vtt(of_video)), "rows": len(of_video)})
    return written


def vtt(cues: Iterable[Cue]) -> str:
    """Text of a WebVTT file; a cue that would not last a millisecond is left out."""
    shown = [(_time(start), _time(end), text) for start, end, text in sorted(cues)]
    blocks = [f"{start} --> {end}\n{text}" for start, end, text in shown if end > start]
    return "\n\n".join(["WEBVTT", *blocks]) + "\n"


def _text(row: Mapping[str, Any], score: str) -> str:
    """Label and score in one line; the characters that mean something in a cue are escaped."""
    label = " ".join(str(row["label"]).split()) or "(blank)"
    escaped = label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{escaped} {row[score]:.2f}"


def _time(seconds: float) -> str:
    """HH:MM:SS.mmm; of hours two digits or more."""
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{ms:03}"
