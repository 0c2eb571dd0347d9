"""HTML report of a nightly run, from the published snapshot alone.

The numbers are those of `sql/statements/report_*.sql`; pictures come from the videos that still exist.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from vidpipe.errors import NotFound
from vidpipe.ports.media import Videos
from vidpipe.ports.outcome import NamedQuery, Reports, Warehouse
from vidpipe.ports.sources import Staging
from vidpipe.report.page import Picture, render
from vidpipe.steps.pictures import NoPicture, picture_at
from vidpipe.steps.runs import Result

PICTURED = 12
"""Videos shown with a picture, in each of the two lists: they are most of the page's weight."""
MAX_PICTURE_BYTES = 16_000
"""Four times the usual; with it a page stays below a megabyte whatever the videos show."""
TIMELINES = 12
"""Long videos shown with what happens in them when."""
LISTED = 40
"""Failures and decisions named one by one."""
NIGHTS = 8
"""Nights whose label mix is compared, this one included."""
PICTURES_S = 60.0
"""Seconds for all pictures; what is not done by then goes without."""
PICTURE_WORKERS = 2


@dataclass(frozen=True, slots=True)
class PageResult(Result):
    """Result of `vidpipe report`: the run, and the path of its page."""

    run_id: int
    report: str
    bytes: int
    pictures: int


def report(
    warehouse: Warehouse, videos: Videos, reports: Reports, run_id: int | None = None,
    *, staging: Staging,
) -> PageResult:  # fmt: skip
    """Write the HTML report of a run, by default of the last night.

    Raises:
        NotFound: No such run has ended, or nothing has been published.
        StorageFailed: The page cannot be written.
    """
    with warehouse.reading() as read:
        facts = _facts(read, run_id)
    pictures = _pictures(videos, staging, [*facts["unsure"], *facts["disagreements"]])
    page = render(facts, pictures)
    number = int(facts["run"]["run_id"])
    file = reports.write(number, page)
    shown = sum(picture.jpeg is not None for picture in pictures.values())
    return PageResult(number, str(file), len(page.encode(errors="backslashreplace")), shown)


# -- the numbers --------------------------------------------------------------------------------


def _facts(read: NamedQuery, run_id: int | None) -> dict[str, Any]:
    """Query the rows of every section of the page."""
    run = _run(read, run_id)
    shadow = run["detail"].get("shadow") or {}
    stages = read("report_stages", run_id=run["run_id"])
    span = {"since": run["started_at"], "until": run["finished_at"]}
    parts = {"run_ids": [stage["run_id"] for stage in stages if stage["kind"] == "classify"]}
    decisions = read("report_decisions", until=span["until"], most=LISTED)
    for decision in decisions:
        decision["evidence"] = json.loads(decision["evidence"] or "{}")
    long_videos = read("report_long_videos", **parts, most=TIMELINES)
    return {
        "run": run,
        "stages": stages,
        "arrived": read("report_arrived", **span),
        "classified": read("report_classified", **parts),
        "drift": read("report_drift", run_id=run["run_id"]),
        "labels": read("report_labels", run_id=run["run_id"], runs=NIGHTS),
        "long_videos": long_videos,
        "timeline": read("report_timeline", video_ids=[video["video_id"] for video in long_videos]),
        "unsure": read("report_unsure", **parts, most=PICTURED),
        "shadow": shadow,
        "disagreements": read(
            "report_disagreements", run_id=run["run_id"], champion=shadow.get("champion"),
            challenger=shadow.get("version"), most=PICTURED,
        ),
        "failures": read("report_failures", **span, most=LISTED),
        "failure_reasons": read("report_failure_reasons", **span),
        "verdicts": read("report_verdicts", **span),
        "decisions": decisions,
    }  # fmt: skip


def _run(read: NamedQuery, run_id: int | None) -> dict[str, Any]:
    rows = read("report_run", run_id=run_id)
    if not rows:
        which = "no night has" if run_id is None else f"no run {run_id} that has"
        raise NotFound(
            f"{which} ended and been published.",
            next_step="vidpipe nightly, or vidpipe sql 'from runs' lists the runs.",
        )
    return {**rows[0], "detail": json.loads(rows[0]["detail"] or "{}")}


# -- the pictures -------------------------------------------------------------------------------


def _pictures(
    videos: Videos, staging: Staging, rows: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str], Picture]:
    """Thumbnail, or the reason why there is none, for each (collection, path)."""
    wanted = {(row["collection"], row["path"]): row for row in rows}
    deadline = time.monotonic() + PICTURES_S
    with ThreadPoolExecutor(PICTURE_WORKERS, thread_name_prefix="picture") as pool:
        found = pool.map(lambda row: _picture(videos, staging, row, deadline), wanted.values())
        return dict(zip(wanted, found, strict=True))


def _picture(videos: Videos, staging: Staging, row: Mapping[str, Any], deadline: float) -> Picture:
    if time.monotonic() > deadline:
        return Picture(None, "no time left for a picture")
    try:
        jpeg = picture_at(staging, row, videos.thumbnail)
    except NoPicture as error:
        return Picture(None, str(error))
    if len(jpeg) > MAX_PICTURE_BYTES:
        return Picture(None, "too large a picture")
    return Picture(jpeg, "")
