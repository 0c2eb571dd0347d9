"""What a person sees in the terminal: results on stdout, logs and progress on stderr."""

from __future__ import annotations

import csv
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from vidpipe.errors import VidpipeError

_SHOWN_ITEMS = 12


class TerminalProgress:
    """Bars on a terminal, nothing elsewhere: there the log lines tell."""

    @contextmanager
    def stage(self, name: str, total: float) -> Iterator[Callable[[float], None]]:
        """A bar that `advance(amount)` moves."""
        if not total or not sys.stderr.isatty():
            yield lambda amount: None
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task(name, total=total)
            yield lambda amount: bars.advance(task, amount)


def log_to_stderr(*, verbose: bool = False) -> None:
    """The library's log lines, on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("vidpipe")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logger.propagate = False


def print_json(value: Any) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(json.dumps(value, default=_plain, ensure_ascii=False) + "\n")


def print_error(error: VidpipeError, *, as_json: bool) -> None:
    """What went wrong and what to do next, in one line or one object."""
    if as_json:
        said = {"class": type(error).__name__, "message": error.message, "next": error.next_step}
        print_json({"error": said})
    else:
        sys.stderr.write(f"vidpipe: {error}\n")


def print_facts(title: str, facts: Mapping[str, Any]) -> None:
    """A report as aligned `name  value` lines; nested values as indented blocks."""
    sys.stdout.write(f"{title}\n")
    width = max((len(k) for k in facts), default=0)
    for name, value in facts.items():
        sys.stdout.write(f"  {name:<{width}}  {_short(value)}\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Rows with aligned columns; numbers to the right."""
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
    console = Console()
    if not console.is_terminal:  # a pipe or a file has no edge to wrap at
        console.width = 400
    console.print(table if columns else "(no columns)")


def print_records(records: Sequence[Mapping[str, Any]]) -> None:
    """Dictionaries with the same keys as a table."""
    if not records:
        sys.stdout.write("(none)\n")
        return
    print_table(list(records[0]), [list(r.values()) for r in records])


def print_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Comma-separated rows under their names."""
    writer = csv.writer(sys.stdout)
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
    """What JSON has no word for: times in ISO 8601, numpy numbers, everything else as text."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if hasattr(value, "item"):
        return value.item()
    return str(value)
