"""Ledger tables of novelty: how unlike a video is to what a version was trained on."""

from __future__ import annotations

from collections.abc import Mapping

from vidpipe.adapters.database.connection import Database
from vidpipe.adapters.database.rows import NOVELTY
from vidpipe.adapters.database.session import now_utc
from vidpipe.adapters.database.versions import key_of
from vidpipe.records.models import VersionId


class Novelty:
    """Tables of novelty models, one a version, and of what they say of videos.

    All methods raise what `Database` says.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def model_of(self, version: VersionId) -> bytes | None:
        """Bytes of a version's novelty model; empty where it cannot have one, None where none is known."""
        with self._database.session() as session:
            rows = session.rows("novelty_model_get", version_key=key_of(session, version))
        return bytes(rows[0][0]) if rows else None

    def put_model(self, version: VersionId, weights: bytes, videos: int) -> None:
        """Record the novelty model of a version that has none."""
        with self._database.session() as session:
            session.run(
                "novelty_model_put", version_key=key_of(session, version), weights=weights, videos=videos,
                now=now_utc(),
            )  # fmt: skip

    def put(self, version: VersionId, novelty: Mapping[str, float]) -> None:
        """Record the novelty of videos, by id, for a version."""
        with self._database.session() as session:
            session.give("given", NOVELTY, list(novelty.items()))
            session.run("novelty_put", version_key=key_of(session, version))
