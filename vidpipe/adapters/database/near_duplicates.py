"""Ledger tables of near-duplicates: pairs of videos that show the same frames, and who has been compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vidpipe.adapters.database import sqlfiles
from vidpipe.adapters.database.connection import Database
from vidpipe.adapters.database.rows import IDS, NEAR_DUPLICATES
from vidpipe.records.features import StoredFeatures
from vidpipe.records.near_duplicates import NearDuplicate
from vidpipe.records.videos import Floats


class NearDuplicates:
    """Tables of near-duplicates.

    All methods raise what `Database` says.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def uncompared(self, feature_set_id: str) -> list[StoredFeatures]:
        """Present videos with a vector that no other has been compared with, in the order of their parts."""
        with self._database.session() as session:
            rows = session.rows("uncompared", feature_set_id=feature_set_id)
        return [StoredFeatures(*row) for row in rows]

    def vectors(self, feature_set_id: str) -> tuple[list[str], Floats, list[bool]]:
        """Ids of the present videos of a set, their vectors (N, 128) as float16, and which are compared."""
        import numpy as np
        import pyarrow as pa

        with self._database.session() as session:
            found: pa.Table = session.connection.sql(
                sqlfiles.statement("present_vectors"), params={"feature_set_id": feature_set_id}
            ).to_arrow_table()
        column = found["vector"].combine_chunks()
        vectors = column.flatten().to_numpy().astype(np.float16).reshape(-1, 128)
        return found["video_id"].to_pylist(), vectors, found["compared"].to_pylist()

    def put(self, feature_set_id: str, compared: Sequence[str], pairs: Sequence[NearDuplicate]) -> None:
        """Record videos as compared with all others that are, and the near-duplicates among them."""
        rows = [
            (p.video_id, p.other_video_id, p.similarity, p.start_s, p.end_s, p.other_start_s, p.other_end_s,
             p.frames)
            for p in pairs
        ]  # fmt: skip
        with self._database.session() as session:
            session.give("given", NEAR_DUPLICATES, rows)
            session.give("compared", IDS, [(v,) for v in compared])
            session.run("near_duplicates_put", feature_set_id=feature_set_id)

    def compared(self, feature_set_id: str, video_ids: Iterable[str]) -> set[str]:
        """Ids of those of these videos that have been compared with the others."""
        with self._database.session() as session:
            session.give("given", IDS, [(v,) for v in video_ids])
            return {video_id for (video_id,) in session.rows("compared_among", feature_set_id=feature_set_id)}

    def among(self, feature_set_id: str, video_ids: Iterable[str]) -> list[NearDuplicate]:
        """Near-duplicates of which both are among these videos, the likeliest first."""
        with self._database.session() as session:
            session.give("given", IDS, [(v,) for v in video_ids])
            rows = session.rows("near_duplicates_among", feature_set_id=feature_set_id)
        return [NearDuplicate(*row) for row in rows]
