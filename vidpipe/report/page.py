"""HTML report of a run: renders rows into one self-contained page with Jinja.

No script, no network (the page forbids itself both), all text escaped by the template engine. The sections
are in `pages/`, one template each: a new one is a name here and a file there.
"""

from __future__ import annotations

import base64
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from vidpipe.report.evidence import evidence_rows

if TYPE_CHECKING:
    from jinja2 import Environment

SECTIONS = {
    "arrived": "What came in",
    "classified": "What was classified",
    "labels": "Label mix",
    "timelines": "Long videos",
    "unsure": "Least sure",
    "disagreements": "Champion and challenger",
    "failures": "Failures",
    "media": "Media",
    "speed": "Speed",
    "model": "Model",
}
"""In their order on the page: the name of the file and of the anchor, and the heading."""
SHOWN_LABELS = 15
SHOWN_ROWS = 40
LONGEST_TEXT = 160
COLOURS = 7
"""Labels told apart by colour: more cannot be; the rest is grey, and named in the tables."""
DRAWN_PIECES = 160
"""Of one video; what a bar can show on a phone."""
LISTED_SEGMENTS = 12


@dataclass(frozen=True, slots=True)
class Picture:
    """A small JPEG, or why there is none."""

    jpeg: bytes | None
    reason: str


def render(facts: Mapping[str, Any], pictures: Mapping[tuple[str, str], Picture]) -> str:
    """Render the HTML page of one run.

    Args:
        facts: Rows by section, as `steps/report.py` collects them.
        pictures: By (collection, path).
    """
    shown = {
        **facts,
        "sections": SECTIONS,
        "shown_rows": SHOWN_ROWS,
        "label_mix": label_mix(facts["labels"], facts["run"]["run_id"]),
        "nights": len({row["run_id"] for row in facts["labels"]} - {facts["run"]["run_id"]}),
        "collections": _collections(facts),
        **_timelines(facts),
        "evidence": _evidence(facts["decisions"]),
        "picture": lambda row: pictures.get((row["collection"], row["path"]), Picture(None, "no picture")),
    }
    return _environment().get_template("report.html.j2").render(shown)


@dataclass(frozen=True, slots=True)
class LabelShare:
    """Share of a label tonight and in the nights before."""

    label: str
    videos: int
    share: float
    before: float | None
    """Of all videos of the nights before; None where there were none."""
    course: Sequence[float]
    """Its share in each night, the oldest first, tonight last."""


def label_mix(rows: Sequence[Mapping[str, Any]], run_id: int) -> list[LabelShare]:
    """Label shares, ordered by number tonight, then before; the rare ones as one, last."""
    nights = sorted({row["run_id"] for row in rows} | {run_id})
    counts = {night: Counter[str]() for night in nights}
    for row in rows:
        counts[row["run_id"]][row["label"]] += row["videos"]
    earlier = sum((counts[night] for night in nights[:-1]), Counter[str]())
    tonight = counts[run_id]
    labels = sorted({row["label"] for row in rows}, key=lambda k: (-tonight[k], -earlier[k], k))
    groups = [(label, [label]) for label in labels[:SHOWN_LABELS]]
    if rare := labels[SHOWN_LABELS:]:
        groups.append((f"{len(rare)} other labels", rare))
    return [
        LabelShare(
            name,
            sum(tonight[k] for k in members),
            _share(tonight, members),
            _share(earlier, members) if earlier else None,
            [_share(counts[night], members) for night in nights],
        )
        for name, members in groups
    ]


def _share(counts: Counter[str], labels: Sequence[str]) -> float:
    return sum(counts[label] for label in labels) / max(1, counts.total())


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment of a timeline, in per cent of the video's length."""

    colour: int | None
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """Timeline of one long video."""

    collection: str
    path: str
    video_id: str
    label: str
    score: float
    end_s: float
    segments: int
    drawn: Sequence[Piece]
    """Side by side, but for gaps."""
    listed: Sequence[Mapping[str, Any]]
    """The longest ones, in order of time."""


def _timelines(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Content of the timeline section: videos, and the labels that have a colour."""
    seconds = Counter[str]()
    of_video: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in facts["timeline"]:
        of_video[row["collection"], row["video_id"]].append(row)
        seconds[row["label"]] += row["end_s"] - row["start_s"]
    names = sorted(seconds, key=lambda label: (-seconds[label], label))
    colours = {label: number for number, label in enumerate(names[:COLOURS])}
    shown = [(video, of_video[video["collection"], video["video_id"]]) for video in facts["long_videos"]]
    return {
        "timelines": [timeline(video, segments, colours) for video, segments in shown if segments],
        "timeline_colours": names[:COLOURS],
        "other_labels": len(names[COLOURS:]),
    }


def timeline(
    video: Mapping[str, Any], segments: Sequence[Mapping[str, Any]], colours: Mapping[str, int]
) -> Timeline:
    """Timeline of one video from its segments in order of time."""
    end_s = max(segment["end_s"] for segment in segments)
    pieces = [_piece(segments, k, end_s, colours) for k in range(len(segments))]
    by_length = sorted(range(len(segments)), key=lambda k: -pieces[k].width)
    facts = {name: video[name] for name in ("collection", "path", "video_id", "label", "score")}
    return Timeline(
        **facts, end_s=end_s, segments=len(segments),
        drawn=pieces if len(pieces) <= DRAWN_PIECES else _sampled(pieces),
        listed=[segments[k] for k in sorted(by_length[:LISTED_SEGMENTS])],
    )  # fmt: skip


def _piece(segments: Sequence[Mapping[str, Any]], k: int, end_s: float, colours: Mapping[str, int]) -> Piece:
    """Position of a segment; where windows overlap, the border is drawn in the middle."""
    this = segments[k]
    begin_s, stop_s = this["start_s"], this["end_s"]
    if k > 0:
        begin_s = max(begin_s, (begin_s + segments[k - 1]["end_s"]) / 2)
    if k + 1 < len(segments):
        stop_s = min(stop_s, (stop_s + segments[k + 1]["start_s"]) / 2)
    share = 100 / end_s
    return Piece(colours.get(this["label"]), begin_s * share, (stop_s - begin_s) * share)


def _sampled(pieces: Sequence[Piece]) -> list[Piece]:
    """Downsample segments to so many slots: the one at the middle of each, so that gaps stay gaps."""
    width = 100 / DRAWN_PIECES
    begins = [piece.left for piece in pieces]
    found: list[Piece] = []
    for slot in range(DRAWN_PIECES):
        middle = (slot + 0.5) * width
        piece = pieces[max(0, bisect_right(begins, middle) - 1)]
        if not piece.left <= middle < piece.left + piece.width:
            continue
        before = found[-1] if found else None
        if before and before.colour == piece.colour and abs(before.left + before.width - slot * width) < 1e-6:
            found[-1] = Piece(before.colour, before.left, before.width + width)
        else:
            found.append(Piece(piece.colour, slot * width, width))
    return found


def _collections(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the collections section: ingest counts beside the number of videos seen for the first time."""
    fresh = {row["collection"]: row for row in facts["arrived"]}
    listed = {row["collection"]: row for row in facts["stages"] if row["kind"] == "ingest"}
    names = sorted(name for name in {*fresh, *listed} if name is not None)
    nothing: dict[str, Any] = {}
    return [
        {
            "collection": name,
            "videos": listed.get(name, nothing).get("videos"),
            "read": listed.get(name, nothing).get("new_paths"),
            "removed": listed.get(name, nothing).get("removed_paths"),
            "paths": fresh.get(name, nothing).get("paths", 0),
            "bytes": fresh.get(name, nothing).get("bytes") or 0,
            "duration_s": fresh.get(name, nothing).get("duration_s") or 0.0,
        }
        for name in names
    ]


def _evidence(decisions: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Evidence of the champion's promotion: the newest decision about it that has numbers."""
    for decision in decisions:
        made = decision["to_version"] == decision["champion"] and decision["decision"] != "refused"
        if made and decision["evidence"].get("challenger"):
            return {**decision, "rows": evidence_rows(decision["evidence"])[:SHOWN_ROWS]}
    return None


# -- how values are written ---------------------------------------------------------------------


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("vidpipe.report", "pages"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "count": count, "percent": percent, "points": points, "span": span, "size": size,
        "instant": instant, "clock": clock, "short": short, "rate": rate, "data_uri": data_uri,
    }  # fmt: skip
    return environment


def count(value: int | None) -> str:
    """Format a count with thousands separators; empty for None."""
    return "" if value is None else f"{value:,}"


def percent(share: float | None) -> str:
    """Format a share as a percentage."""
    return "" if share is None else f"{100 * share:.1f} %"


def points(difference: float) -> str:
    """Format a difference of two shares in percentage points, with its sign."""
    return f"{100 * difference:+.1f}"


def rate(value: float | None) -> str:
    """Format a rate per second."""
    return "" if value is None else f"{value:,.1f}"


def span(seconds: float | None) -> str:
    """Format a duration for people."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def clock(seconds: float) -> str:
    """Format a time within a video as players show it."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def size(size_bytes: float) -> str:
    """Format a number of bytes in kB, MB, GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def instant(at: datetime | None) -> str:
    """Format a timestamp to the minute."""
    return "" if at is None else at.isoformat(sep=" ", timespec="minutes")


def short(text: str | None, longest: int = LONGEST_TEXT) -> str:
    """Shorten a text by its middle, with control characters escaped."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text or "")
    if len(plain) <= longest:
        return plain
    return f"{plain[: longest // 2]} … {plain[-(longest // 2) :]}"


def data_uri(jpeg: bytes) -> str:
    """Data URI of a JPEG, which embeds it in the page."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
