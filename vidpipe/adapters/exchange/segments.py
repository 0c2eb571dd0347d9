"""Segments of videos with their labels, known and predicted, as formats of temporal annotations want."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vidpipe.ports.outcome import NamedQuery

Row = Mapping[str, Any]
Place = tuple[str, str]
"""Collection and path."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A label from `start_s` to `end_s`, in seconds; a known one has no score."""

    start_s: float
    end_s: float
    label: str
    score: float | None = None


def predicted_segments(
    read: NamedQuery, collection: str | None, videos: Iterable[Row]
) -> dict[Place, list[Segment]]:
    """Timelines of long videos; of a short one that is scored, a segment of all of it for each label.

    Args:
        read: The warehouse.
        collection: Of this one; default: of all.
        videos: Rows of `export_videos`.
    """
    found: dict[Place, list[Segment]] = defaultdict(list)
    for row in read("export_segments", collection=collection):
        found[place(row)].append(Segment(row["start_s"], row["end_s"], row["label"], row["peak_score"]))
    whole = {place(v): v for v in videos if v["predicted"] is not None and v["duration_s"]}
    for key, video in whole.items():
        held = zip(video["labels"] or (), video["scores"] or (), strict=True)
        found.setdefault(key, [Segment(0.0, video["duration_s"], label, score) for label, score in held])
    return {key: segments for key, segments in found.items() if segments}


def known_segments(
    read: NamedQuery, collection: str | None, videos: Iterable[Row]
) -> dict[Place, list[Segment]]:
    """Spans that the manifest labels; where a video has labels and no spans, one segment for each of them."""
    found: dict[Place, list[Segment]] = defaultdict(list)
    for row in read("export_spans", collection=collection):
        found[place(row)].append(Segment(row["start_s"], row["end_s"], row["label"]))
    whole = {place(v): v for v in videos if v["known_label"] is not None and v["duration_s"]}
    for key, video in whole.items():
        found.setdefault(key, [Segment(0.0, video["duration_s"], name) for name in video["known_labels"]])
    return dict(found)


def place(row: Row) -> Place:
    """Collection and path of a row's video."""
    return row["collection"], row["path"]
