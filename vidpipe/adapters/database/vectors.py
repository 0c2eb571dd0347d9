"""Ledger tables of video vectors, and of the projections that make them."""

from __future__ import annotations

from collections.abc import Sequence

from vidpipe.adapters.database.connection import Database
from vidpipe.adapters.database.session import now_utc
from vidpipe.records.features import StoredFeatures
from vidpipe.records.videos import Floats


class Vectors:
    """Tables of vectors and projections.

    All methods raise what `Database` says.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def projection(self, feature_set_id: str) -> tuple[str, bytes] | None:
        """SHA-256 and bytes of a feature set's projection."""
        with self._database.session() as session:
            rows = session.rows("projection_get", feature_set_id=feature_set_id)
        return (rows[0][0], bytes(rows[0][1])) if rows else None

    def put_projection(self, feature_set_id: str, sha256: str, weights: bytes, videos: int) -> None:
        """Record the projection of a feature set that has none; another one is never replaced."""
        with self._database.session() as session:
            session.run(
                "projection_put", feature_set_id=feature_set_id, sha256=sha256, weights=weights,
                videos=videos, now=now_utc(),
            )  # fmt: skip

    def lacking(self, feature_set_id: str) -> list[StoredFeatures]:
        """Present videos with features of a set and no vector, in the order of their parts."""
        with self._database.session() as session:
            rows = session.rows("vectors_lacking", feature_set_id=feature_set_id)
        return [StoredFeatures(*row) for row in rows]

    def put(self, feature_set_id: str, video_ids: Sequence[str], vectors: Floats) -> None:
        """Record vectors (N, 128); a video that has one keeps it."""
        import pyarrow as pa

        arrays = [pa.array(video_ids, pa.string()), pa.FixedSizeListArray.from_arrays(vectors.ravel(), 128)]
        with self._database.session() as session:
            session.connection.register("given", pa.Table.from_arrays(arrays, ["video_id", "vector"]))
            session.run("vectors_put", feature_set_id=feature_set_id)
