"""Ledger table of shots: where each shot of a video begins, for collections that are scored in shots."""

from __future__ import annotations

from collections.abc import Sequence

from vidpipe.adapters.database.connection import Database
from vidpipe.adapters.database.rows import listed_file
from vidpipe.records.videos import PendingVideo
from vidpipe.uris import place_of


class Shots:
    """Table of shots.

    All methods raise what `Database` says.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def lacking(self) -> list[PendingVideo]:
        """Present videos of collections that are scored in shots, whose shots are not known."""
        with self._database.session() as session:
            rows = session.rows("shots_lacking")
        return [
            PendingVideo(v, place_of(source, listed_file(*listed), v), *facts)
            for v, source, listed, *facts in ((r[0], r[1], r[2:8], *r[8:]) for r in rows)
        ]

    def put(self, video_id: str, starts_s: Sequence[float]) -> None:
        """Record where a video's shots begin."""
        with self._database.session() as session:
            session.run("shots_put", video_id=video_id, starts_s=list(starts_s))
