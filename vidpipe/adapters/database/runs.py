"""Ledger table of runs: kind, status, start, end and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from vidpipe.adapters.database.connection import Database
from vidpipe.adapters.database.session import now_utc
from vidpipe.records.videos import canonical_json


class Runs:
    """Table of runs.

    All methods raise what `Database` says.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, kind: str, *, ended: Sequence[str] = ()) -> int:
        """Start a row of `runs`; open ones of the `ended` kinds, whose processes are dead, become crashed."""
        with self._database.session() as session:
            if ended:
                session.run("run_mark_crashed", kinds=list(ended), now=now_utc())
            return int(session.rows("run_start", kind=kind, now=now_utc())[0][0])

    def finish(
        self, run_id: int, *, status: str, videos: int, frames: int, failed: int, seconds: float,
        detail: Mapping[str, Any],
    ) -> None:  # fmt: skip
        """Close a row of `runs`."""
        with self._database.session() as session:
            session.run(
                "run_finish", run_id=run_id, status=status, videos=videos, frames=frames, failed=failed,
                seconds=seconds, detail=canonical_json(detail), now=now_utc(),
            )  # fmt: skip

    def night_since(self, moment: datetime) -> int | None:
        """The last night that began at or after a time (UTC, naive) and completed."""
        with self._database.session() as session:
            found = session.rows("night_since", moment=moment)[0][0]
            return None if found is None else int(found)
