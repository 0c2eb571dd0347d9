"""Ledger tables of label issues: labelled videos whose label disagrees with out-of-fold scores."""

from __future__ import annotations

from collections.abc import Sequence

from vidpipe.adapters.database.connection import Database
from vidpipe.adapters.database.rows import ISSUES
from vidpipe.adapters.database.session import now_utc
from vidpipe.records.labels import LabelCheck, LabelIssue


class LabelIssues:
    """Tables of label checks and what they found.

    All methods raise what `Database` says.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def check_of(self, collection: str) -> LabelCheck | None:
        """The last check of a collection's labels."""
        with self._database.session() as session:
            rows = session.rows("label_check_get", collection=collection)
        return LabelCheck(*rows[0]) if rows else None

    def put(self, collection: str, check: LabelCheck, issues: Sequence[LabelIssue]) -> None:
        """Replace a collection's check and its issues, given with the likeliest wrong first."""
        rows = [
            (i.video_id, rank, i.label, i.suggested, i.label_score, i.suggested_score, i.is_confident)
            for rank, i in enumerate(issues, start=1)
        ]
        with self._database.session() as session:
            session.give("given", ISSUES, rows)
            session.run(
                "label_issues_put", collection=collection, dataset_hash=check.dataset_hash,
                videos=check.videos, unjudged=check.unjudged, now=now_utc(),
            )  # fmt: skip

    def of(self, collection: str) -> list[LabelIssue]:
        """Issues of a collection, the likeliest wrong first; not those whose label has been changed since."""
        with self._database.session() as session:
            return [LabelIssue(*row) for row in session.rows("label_issues_get", collection=collection)]
