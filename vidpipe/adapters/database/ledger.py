"""The ledger, vidpipe's working database in DuckDB: its rows say what is done.

Its tables have files of their own beside this one. Every statement is in `sql/statements`, under its name in
the code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidpipe.adapters.database import sqlfiles
from vidpipe.adapters.database.connection import Database
from vidpipe.adapters.database.decisions import Decisions
from vidpipe.adapters.database.failures import Failures
from vidpipe.adapters.database.feature_drift import FeatureDrift
from vidpipe.adapters.database.features import Features
from vidpipe.adapters.database.label_issues import LabelIssues
from vidpipe.adapters.database.near_duplicates import NearDuplicates
from vidpipe.adapters.database.novelty import Novelty
from vidpipe.adapters.database.predictions import Predictions
from vidpipe.adapters.database.runs import Runs
from vidpipe.adapters.database.session import dicts
from vidpipe.adapters.database.shots import Shots
from vidpipe.adapters.database.sources import Sources
from vidpipe.adapters.database.vectors import Vectors
from vidpipe.adapters.database.versions import Versions
from vidpipe.records.machine import Unfinished


class Ledger:
    """Working database of one home, composed of its tables.

    All methods raise what `Database` says.
    """

    def __init__(self, file: Path, *, max_attempts: int = 3, wait_s: float = 60.0) -> None:
        """Prepare; the file is opened by the first session.

        Args:
            file: The database; created when first asked.
            max_attempts: So many times is a failing video tried before it is set aside.
            wait_s: So long is another process waited for.
        """
        self.database = Database(file, wait_s=wait_s)
        self.runs = Runs(self.database)
        self.failures = Failures(self.database, max_attempts)
        self.sources = Sources(self.database, self.failures)
        self.features = Features(self.database, self.failures)
        self.versions = Versions(self.database)
        self.predictions = Predictions(self.database)
        self.decisions = Decisions(self.database)
        self.label_issues = LabelIssues(self.database)
        self.vectors = Vectors(self.database)
        self.near_duplicates = NearDuplicates(self.database)
        self.shots = Shots(self.database)
        self.novelty = Novelty(self.database)
        self.drift = FeatureDrift(self.database)

    def unfinished(self) -> Unfinished | None:
        """Unfinished runs and promotions, and named parts, read only; None while there is no ledger."""
        with self.database.read_only() as session:
            if session is None:
                return None
            schema, known_schema = int(session.rows("migration_latest")[0][0]), sqlfiles.migrations()[-1][0]
            return Unfinished(
                schema=schema,
                known_schema=known_schema,
                open_runs=[(run_id, kind) for run_id, kind in session.rows("open_runs")],
                open_intents=[(n, decision, v) for n, decision, v in session.rows("open_intents")],
                parts=frozenset((spec, part) for spec, part in session.rows("parts_named")),
                sources=[source for (source,) in session.rows("sources")],
                champions={
                    model: version if version > 0 else None
                    for model, version in session.rows("champions_on_record")
                },
                serving=frozenset(version for version, _ in session.rows("serving_versions")),
                digests=dict(session.rows("versions_current")) if schema == known_schema else {},
            )

    def compact(self) -> int:
        """Give room of deleted rows back to the disk: bytes by which the file shrank."""
        return self.database.compact()

    def sweep(self, older_than_s: float) -> tuple[int, int]:
        """Delete what killed processes spilled to disk: (files, bytes)."""
        return self.database.sweep(older_than_s)

    def table(self, statement: str) -> list[dict[str, Any]]:
        """Rows of a statement without parameters, also for a user who may not write."""
        with self.database.looking() as session:
            return dicts(session.connection.execute(sqlfiles.statement(statement)))
