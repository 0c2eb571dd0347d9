"""Ledger tables of feature drift, and of the videos that nights are compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from vidpipe.adapters.database.connection import Database
from vidpipe.adapters.database.rows import DRIFT_VIDEOS
from vidpipe.adapters.database.session import now_utc
from vidpipe.adapters.database.versions import key_of, standing
from vidpipe.records.drift import Arrivals, DriftBefore, DriftFound, DriftVideos
from vidpipe.records.features import StoredFeatures
from vidpipe.records.models import VersionId


class FeatureDrift:
    """Tables of feature drift, by collection, night and version.

    All methods raise what `Database` says.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def arrivals(self, version: VersionId, feature_set_id: str, most: int) -> list[Arrivals]:
        """Videos with features that came since the promotion or the last night that was compared.

        Those that the version was trained on do not count. At most so many of a collection are named.
        """
        found: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        with self._database.session() as session:
            rows = session.rows(
                "drift_arrivals", version_key=key_of(session, version), feature_set_id=feature_set_id,
                model_version=standing(session, version), most=most,
            )  # fmt: skip
        for row in rows:
            found[row[0]].append(row)
        return [
            Arrivals(name, of[0][1], [StoredFeatures(*r[3:7]) for r in of], [r[7:10] for r in of], of[0][2])
            for name, of in found.items()
        ]

    def before(self, version: VersionId, collection: str) -> DriftBefore:
        """State after the last night of a collection with a version."""
        with self._database.session() as session:
            rows = session.rows("drift_last", version_key=key_of(session, version), collection=collection)
        return DriftBefore(*rows[0]) if rows else DriftBefore()

    def training(self, version: VersionId) -> DriftVideos | None:
        """Videos of a version's training; None where none are recorded."""
        with self._database.session() as session:
            return _videos(session.rows("drift_training", version_key=key_of(session, version)))

    def earlier(self, version: VersionId, collection: str, since_run: int) -> DriftVideos | None:
        """Videos of a collection's nights after a run; None where there are none."""
        with self._database.session() as session:
            key = key_of(session, version)
            named = {"version_key": key, "collection": collection, "since_run": since_run}
            return _videos(session.rows("drift_earlier", **named))

    def put_training(self, version: VersionId, videos: DriftVideos) -> None:
        """Record the reference videos of a version's training, in place of those of other versions."""
        with self._database.session() as session:
            session.give("given", DRIFT_VIDEOS, _rows(videos))
            session.run("drift_training_put", version_key=key_of(session, version))

    def put(
        self, run_id: int, version: VersionId, found: DriftFound, arrivals: Arrivals,
        videos: DriftVideos | None, kept: int,
    ) -> None:  # fmt: skip
        """Record a night of a collection, and its videos; of these the last ones are kept.

        Without videos it was not compared, and the same arrivals wait for the next night.
        """
        with self._database.session() as session:
            key = key_of(session, version)
            session.run(
                "drift_put", run_id=run_id, collection=found.collection, version_key=key, videos=found.videos,
                distance=found.distance, p_features=found.p_features, p_recording=found.p_recording,
                statistic=found.statistic, nights=found.nights, is_alarm=found.alarmed,
                seen_until=arrivals.seen_until if videos else None, now=now_utc(),
            )  # fmt: skip
            if videos:
                session.give("given", DRIFT_VIDEOS, _rows(videos))
                session.run(
                    "drift_videos_put", run_id=run_id, collection=found.collection, version_key=key, kept=kept
                )


def _rows(videos: DriftVideos) -> list[tuple[str, bytes]]:
    halves = videos.features.astype(np.float16)
    return [(video_id, row.tobytes()) for video_id, row in zip(videos.video_ids, halves, strict=True)]


def _videos(rows: Sequence[tuple[Any, ...]]) -> DriftVideos | None:
    if not rows:
        return None
    features = np.stack([np.frombuffer(row[1], np.float16) for row in rows]).astype(np.float32)
    return DriftVideos([row[0] for row in rows], features, np.array([row[2:5] for row in rows], np.float32))
