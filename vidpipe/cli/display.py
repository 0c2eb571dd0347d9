"""Terminal output: tables, JSON, CSV and errors on stdout, progress bars and logs on stderr."""

from __future__ import annotations

import codecs
import csv
import io
import json
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TextIO

from vidpipe.errors import VidpipeError
from vidpipe.progress import Meter, Metered
from vidpipe.records.globs import counted
from vidpipe.report.evidence import evidence_rows, part_rows

if TYPE_CHECKING:
    from vidpipe.steps.runs import Result

log = logging.getLogger(__name__)

_SHOWN_ITEMS = 12
_SHOWN_FRAMES = 10
_BAR = 30
"""Characters of the longest bar."""
_LEAST_FALL = 0.5
"""Log odds that a label must lose for a bar of that length."""


class TerminalProgress(Metered):
    """Progress bar on a terminal; elsewhere a log line now and then, so that files do not fill with bars."""

    def __init__(self, line_every_s: float = 30.0) -> None:
        super().__init__()
        self._line_every_s = line_every_s

    @contextmanager
    def stage(self, name: str, total: float, unit: str) -> Iterator[Callable[[float, int], None]]:
        """Context manager of one stage: a bar or lines until it ends; a stage with nothing to do has none."""
        shown = _bar(name) if total and sys.stderr.isatty() else nullcontext(_lines(self._line_every_s))
        with shown as show, self.metered(name, total, unit, show) as advance:
            yield advance


@contextmanager
def _bar(name: str) -> Iterator[Callable[[Meter], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[said]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(name, total=1.0, said="")
        yield lambda meter: bars.update(task, completed=meter.share, said=str(meter))


def _lines(every_s: float) -> Callable[[Meter], None]:
    said_at = time.monotonic()

    def show(meter: Meter) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= every_s:
            said_at = time.monotonic()
            log.info("%s: %s", meter.name, str(meter))

    return show


def _knows_utf8(stream: TextIO) -> bool:
    try:
        return codecs.lookup(stream.encoding or "ascii").name == "utf-8"
    except LookupError:
        return False


def print_json(value: Any) -> None:
    """Print one JSON object on stdout; NaN and infinity, which JSON does not have, become null.

    Escaped as ASCII where stdout is not UTF-8.
    """
    ascii_only = not _knows_utf8(sys.stdout)
    sys.stdout.write(json.dumps(_plain(value), allow_nan=False, ensure_ascii=ascii_only) + "\n")


def print_result(
    result: Result, *, as_json: bool, show: Callable[[Mapping[str, Any]], None] | None = None
) -> None:
    """Print a step's result as one JSON object, or for people: by `show`, or as facts under its name."""
    facts = result.to_dict()
    if as_json:
        print_json(facts)
    elif show:
        show(facts)
    elif "decision" in facts:
        print_decision(facts)
    else:
        print_facts(type(result).__name__.removesuffix("Result").lower(), facts)


def print_error(error: VidpipeError, *, as_json: bool) -> None:
    """Print an error with its next step: one line on stderr, or with `--json` one object on stdout."""
    if as_json:
        said = {"class": type(error).__name__, "message": error.message, "next": error.next_step}
        print_json({"error": said})
    else:
        sys.stderr.write(f"vidpipe: {error}\n")


def print_facts(title: str, facts: Mapping[str, Any]) -> None:
    """Print a result as aligned `name  value` lines; scores of parts, of labels and confusions as tables."""
    has_parts = "baselines" in facts  # elsewhere `parts` are those of a feature set
    of_parts = {k for k in facts if k == "parts" or k.startswith("baseline")} if has_parts else set()
    shown_below = {"per_label", "confusion", *of_parts}
    flat = dict(_flattened({k: v for k, v in facts.items() if k not in shown_below}))
    width = max((len(k) for k in flat), default=0)
    sys.stdout.write(f"{title}\n")
    for name, value in flat.items():
        sys.stdout.write(f"  {name:<{width}}  {_short(value)}\n")
    if has_parts:
        columns, *rows = part_rows(facts)
        print_table(columns, rows)
    if table := facts.get("per_label"):
        columns = list(next(iter(table.values())))
        print_table(["label", *columns], [[label, *scores.values()] for label, scores in table.items()])
    if matrix := facts.get("confusion"):
        predicted = sorted({label for row in matrix.values() for label in row})
        rows = [[truth, *(row.get(label) for label in predicted)] for truth, row in matrix.items()]
        print_table(["true, predicted", *predicted], rows)


def print_training(facts: Mapping[str, Any]) -> None:
    """Print a training: its figures, its parts beside the baselines, and the advice that follows."""
    known = {k: v for k, v in facts.items() if k not in ("metrics", "advice")}
    print_facts("train", {**known, **facts["metrics"]})
    sys.stdout.write(f"Advice: {facts['advice']}\n")


def print_ingest(facts: Mapping[str, Any]) -> None:
    """Print the result of an ingest, and in one line how many files were no videos."""
    print_facts("ingest", {name: value for name, value in facts.items() if name != "passed_over"})
    if passed_over := facts["passed_over"]:
        sys.stdout.write(f"passed over {counted(passed_over)}\n")


def print_similar(facts: Mapping[str, Any]) -> None:
    """Print the most similar videos as a table: path, cosine, label."""
    columns = ["collection", "path", "cosine", "label", "video_id"]
    rows = [[row[name] for name in columns] for row in facts["rows"]]
    print_table(columns, [[*row[:2], round(row[2], 3), row[3], row[4][:12]] for row in rows])


def print_doctor(facts: Mapping[str, Any]) -> None:
    """Print a line for each check of `doctor`, its next step below it, and the counts at the end."""
    lines = facts["lines"]
    width = max(len(line["check"]) for line in lines)
    for line in lines:
        sys.stdout.write(f"{line['state']:<7}  {line['check']:<{width}}  {line['message']}\n")
        if line["next"]:
            sys.stdout.write(f"{'':<7}  {'':<{width}}  next: {line['next']}\n")
    counts = {state: sum(line["state"] == state for line in lines) for state in ("ok", "warning", "fix")}
    said = ", ".join(f"{n} {state}" for state, n in counts.items())
    sys.stdout.write(f"{said}; {facts['seconds']:.1f} s\n")


def print_manifest(facts: Mapping[str, Any]) -> None:
    """Print what a manifest holds, what it leaves out and why, and the `vidpipe ingest` command for it."""
    warnings, following = facts["warnings"], facts["next"]
    print_facts("manifest", {k: v for k, v in facts.items() if k not in ("warnings", "next")})
    for text in warnings:
        sys.stdout.write(f"  warning: {text}\n")
    sys.stdout.write(f"Next: {following}\n")


def print_decision(facts: Mapping[str, Any]) -> None:
    """Print a promotion decision with its reasons and a table of both versions' scores."""
    sys.stdout.write(f"{facts['model']} version {facts['version']}: {facts['decision']}\n")
    for kind in ("reasons", "warnings"):
        for text in facts[kind]:
            sys.stdout.write(f"  {kind.removesuffix('s')}: {text}\n")
    if rows := evidence_rows(facts["evidence"]):
        print_table(rows[0], rows[1:])


def print_explanation(facts: Mapping[str, Any]) -> None:
    """Print a video's best labels, what the label scores without each stretch, and where the LSTM looks."""
    says = f"{facts['label']} {facts['score']:.3f}"
    sys.stdout.write(f"{facts['model']} version {facts['version']}: {says}\n")
    others = [f"{label} {score:.3f}" for label, score in facts["top"].items() if label != facts["label"]]
    sys.stdout.write(f"  video  {facts['video_id']}\n")
    sys.stdout.write(f"  next   {', '.join(others)}\n")
    if facts["without"]:
        _print_occlusions(facts)
    if facts["note"]:
        sys.stdout.write(f"  note   {facts['note']}\n")
    else:
        _print_attention(facts["frames"])


def _print_occlusions(facts: Mapping[str, Any]) -> None:
    without, whole = facts["without"], _log_odds(facts["score"])
    falls = [max(whole - _log_odds(one["score"]), 0.0) for one in without]
    sys.stdout.write("  cut    a stretch left out, and the label's score then; bars show what it loses\n")
    for one, fall in zip(without, falls, strict=True):
        bar = "█" * round(_BAR * fall / max(*falls, _LEAST_FALL))
        stretch = f"{one['start_s']:.2f} to {one['end_s']:.2f} s"
        sys.stdout.write(f"  {stretch:>20}  {one['score']:.3f}  {bar}".rstrip() + "\n")


def _log_odds(score: float) -> float:
    kept = min(max(score, 1e-6), 1 - 1e-6)
    return math.log(kept / (1 - kept))


def _print_attention(frames: Sequence[Mapping[str, Any]]) -> None:
    heaviest = sorted(frames, key=lambda f: -f["weight"])[:_SHOWN_FRAMES]
    most = heaviest[0]["weight"]
    even = f"an even share is {1 / len(frames):.3f}"
    sys.stdout.write(f"  LSTM   looks at {len(heaviest)} of {len(frames)} frames most; {even}\n")
    for frame in sorted(heaviest, key=lambda f: f["time_s"]):
        bar = "█" * max(1, round(_BAR * frame["weight"] / most))
        moment = f"{frame['time_s']:.2f} s"
        sys.stdout.write(f"  {moment:>20}  {frame['weight']:.3f}  {bar}\n")


def _flattened(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, Mapping) and value.keys() == {"value", "low", "high"}:
            found, low, high = (_short(value[key]) for key in ("value", "low", "high"))
            yield prefix + name, f"{found} ({low} to {high})"
        elif name == "order_gain" and value:
            yield prefix + name, " ± ".join(map(_short, value))
        elif name.endswith("interval") and value:
            yield prefix + name, " to ".join(map(_short, value))
        elif isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows as a table with aligned columns, numbers to the right."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for k, name in enumerate(columns):
        numeric = all(isinstance(row[k], int | float) for row in rows if row[k] is not None)
        table.add_column(escape(name), justify="right" if rows and numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(_short(v)) for v in row))
    console = Console(emoji=False)  # `:x:` in a path is no emoji
    if not console.is_terminal:  # do not wrap lines in a pipe or a file
        console.width = 400
    console.print(table if columns else "(no columns)")


def print_records(records: Sequence[Mapping[str, Any]]) -> None:
    """Print dictionaries with the same keys as a table."""
    if not records:
        sys.stdout.write("(none)\n")
        return
    print_table(list(records[0]), [list(r.values()) for r in records])


def print_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows as CSV with a header, always in UTF-8, for programs to read.

    Lines end with LF: a shell's `$(... | tail -1)` would carry a CR along.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


def _short(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_short(v)}" for k, v in list(value.items())[:_SHOWN_ITEMS])
    if isinstance(value, list | tuple):
        return "; ".join(_short(v) for v in value[:_SHOWN_ITEMS])
    return str(value)


def _plain(value: Any) -> Any:
    """Convert a value to JSON's types: times in ISO 8601, numpy numbers as numbers, the rest as text."""
    if isinstance(value, Mapping):
        return {k if isinstance(k, str) else str(_plain(k)): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)
