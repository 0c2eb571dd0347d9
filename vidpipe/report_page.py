"""The page that a report is: facts in, one self-contained HTML text out.

No script, no network (the page forbids itself both), all text escaped by the template engine. The sections
stand in `pages/`, one file each: another one, such as timelines of long videos, is a name here and a file
there.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from vidpipe.evidence import evidence_rows

if TYPE_CHECKING:
    from jinja2 import Environment

SECTIONS = {
    "arrived": "What came in",
    "classified": "What was classified",
    "labels": "Label mix",
    "unsure": "Lowest scores",
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


@dataclass(frozen=True, slots=True)
class Picture:
    """A small JPEG, or why there is none."""

    jpeg: bytes | None
    reason: str


def render(facts: Mapping[str, Any], pictures: Mapping[tuple[str, str], Picture]) -> str:
    """The page of one run.

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
        "evidence": _evidence(facts["decisions"]),
        "picture": lambda row: pictures.get((row["collection"], row["path"]), Picture(None, "no picture")),
    }
    return _environment().get_template("report.html.j2").render(shown)


@dataclass(frozen=True, slots=True)
class LabelShare:
    """One label's share tonight and in the nights before."""

    label: str
    videos: int
    share: float
    before: float | None
    """Of all videos of the nights before; None where there were none."""
    course: Sequence[float]
    """Its share in each night, the oldest first, tonight last."""


def label_mix(rows: Sequence[Mapping[str, Any]], run_id: int) -> list[LabelShare]:
    """Labels by their number tonight, then before; the rare ones as one, last."""
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


def _collections(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What each collection's ingest found, beside what was seen for the first time."""
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
    """What made the champion: its newest decision that has numbers."""
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
        loader=PackageLoader("vidpipe", "pages"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "count": count, "percent": percent, "points": points, "span": span, "size": size,
        "instant": instant, "short": short, "rate": rate, "data_uri": data_uri,
    }  # fmt: skip
    return environment


def count(value: int | None) -> str:
    """Thousands apart; nothing for None."""
    return "" if value is None else f"{value:,}"


def percent(share: float | None) -> str:
    """A share as a percentage."""
    return "" if share is None else f"{100 * share:.1f} %"


def points(difference: float) -> str:
    """A difference of two shares, in percentage points, with its sign."""
    return f"{100 * difference:+.1f}"


def rate(value: float | None) -> str:
    """Something a second."""
    return "" if value is None else f"{value:,.1f}"


def span(seconds: float | None) -> str:
    """A time span for people."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(size_bytes: float) -> str:
    """Bytes in their usual units."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def instant(at: datetime | None) -> str:
    """To the minute."""
    return "" if at is None else at.isoformat(sep=" ", timespec="minutes")


def short(text: str | None, longest: int = LONGEST_TEXT) -> str:
    """Text that cannot fill the page: the middle of a long one is left out, control characters are shown."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text or "")
    if len(plain) <= longest:
        return plain
    return f"{plain[: longest // 2]} … {plain[-(longest // 2) :]}"


def data_uri(jpeg: bytes) -> str:
    """A picture that travels inside the page."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
