"""Ledger table of failures: videos that could not be read, with attempts and status."""

from __future__ import annotations

from collections.abc import Sequence

from vidpipe.adapters.database.connection import Database
from vidpipe.adapters.database.rows import FAILURES, GIVEN_PATHS
from vidpipe.adapters.database.session import Session, now_utc
from vidpipe.errors import Misread, StillChanging
from vidpipe.records.videos import Failure


class Failures:
    """Table of videos that could not be read.

    All methods raise what `Database` says.
    """

    def __init__(self, database: Database, max_attempts: int) -> None:
        self._database, self._max_attempts = database, max_attempts

    def put(self, failures: Sequence[Failure]) -> None:
        """Record failures that have no file behind them."""
        with self._database.session() as session:
            self.put_in(session, failures)

    def put_in(self, session: Session, failures: Sequence[Failure]) -> None:
        """Record failures within a transaction of the caller's."""
        rows = [(f.collection, f.path, f.video_id, f.stage, f.error_class, f.message) for f in failures]
        session.give("given", FAILURES, rows)
        session.run(
            "failures_put", max_attempts=self._max_attempts, waiting=StillChanging.__name__,
            misread=Misread.__name__, now=now_utc(),
        )  # fmt: skip

    def describe(self, collection: str, failures: Sequence[Failure]) -> int:
        """Record a collection's values that do not parse, resolve others; returns the number of new ones."""
        with self._database.session() as session:
            known = {path for (path,) in session.rows("failures_described", collection=collection)}
            session.give("given", GIVEN_PATHS, [(f.path,) for f in failures])
            session.run("failures_resolve_described", collection=collection)
            self.put_in(session, failures)
        return sum(f.path not in known for f in failures)

    def reset(self, collection: str | None) -> int:
        """Reset attempts and verdicts of failing videos; returns the number of failures to retry."""
        with self._database.session() as session:
            before = session.rows("failures_unresolved", collection=collection)[0][0]
            session.run("failures_reset", collection=collection)
            return int(before)
