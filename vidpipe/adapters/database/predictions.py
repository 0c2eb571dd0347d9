"""Ledger tables of predictions, window predictions and the serving version of each collection."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from vidpipe.adapters.database.connection import Database
from vidpipe.adapters.database.rows import PREDICTIONS, WINDOWS, prediction_row, window_row
from vidpipe.adapters.database.session import now_utc
from vidpipe.adapters.database.versions import standing
from vidpipe.records.features import FeatureSpec, Unscored
from vidpipe.records.models import VersionId
from vidpipe.records.predictions import Prediction, WindowPrediction
from vidpipe.records.windows import Windows


class Predictions:
    """Tables of predictions, and queries of videos to score.

    All methods raise what `Database` says.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def unscored(
        self, version: VersionId, feature_set_id: str, collections: Sequence[str] | None
    ) -> list[Unscored]:
        """Present videos, of these collections or of all, that this version has not scored, in part order.

        A video that it has scored in other windows than are wanted now is among them.
        """
        with self._database.session() as session:
            rows = session.rows(
                "unscored", model_version=standing(session, version), feature_set_id=feature_set_id,
                collections=collections,
            )  # fmt: skip
        return [
            Unscored(video_id, part, offset, n, Windows.of(*windows))
            for video_id, part, offset, n, *windows in rows
        ]

    def windows_of(self, video_id: str) -> Windows | None:
        """Windows in which this video is scored; None: as a whole."""
        with self._database.session() as session:
            rows = session.rows("windows_of_video", video_id=video_id)
        return Windows.of(*rows[0]) if rows else None

    def count_scored(self, version: VersionId, collection: str | None) -> int:
        """Number of present videos that this version has scored."""
        with self._database.session() as session:
            rows = session.rows(
                "scored_count", model_version=standing(session, version), collection=collection
            )
        return int(rows[0][0])

    def put_predictions(
        self,
        run_id: int,
        version: VersionId,
        feature_set_id: str,
        predictions: Sequence[Prediction],
        windows: Sequence[WindowPrediction] = (),
    ) -> None:
        """Store predictions together with those of their windows.

        Videos that this version has scored in the same way by now keep their rows; what it said of them in
        other windows is replaced.
        """
        with self._database.session() as session:
            version_of = {"model_version": standing(session, version), "feature_set_id": feature_set_id}
            written = {**version_of, "run_id": run_id, "model_name": version.model, "now": now_utc()}
            session.give("given", PREDICTIONS, [prediction_row(p) for p in predictions])
            session.run("model_put", model_name=version.model)
            session.run("labels_put")
            session.run("predictions_outdated", **version_of)
            if windows:
                rows = [window_row(w) for w in windows]
                session.give("given", WINDOWS, rows)
                session.run("labels_put")
                session.run("window_predictions_put", **written)
                session.give("given", PREDICTIONS, [prediction_row(p) for p in predictions])
            session.run("predictions_put", **written)

    def prune(self, before: datetime, kept: Sequence[int]) -> int:
        """Prune predictions from before a moment (UTC, naive); returns the number of rows.

        Of each video, and of each window, the best label and those over their threshold stay where a kept
        version gave them.
        """
        with self._database.session() as session:
            ((had,),) = session.rows("predictions_count", before=before)
            session.run("predictions_prune", before=before, kept=list(kept))
            ((left,),) = session.rows("predictions_count", before=before)
        return int(had - left)

    def unscored_collections(
        self, version: VersionId, feature_set_id: str, collection: str | None
    ) -> list[tuple[str, int | None, int]]:
        """Collections with videos that this version has not scored, the newest first.

        Each as (name, version that it serves, number of such videos).
        """
        with self._database.session() as session:
            rows = session.rows(
                "unscored_collections", model_version=standing(session, version),
                feature_set_id=feature_set_id, collection=collection,
            )  # fmt: skip
        return [(name, serving, videos) for name, serving, videos in rows]

    def switch_serving(self, version: int, collection: str | None = None) -> None:
        """Switch a collection, or all, to this version where it has scored every video."""
        with self._database.session() as session:
            session.run("serving_switch", model_version=version, collection=collection, now=now_utc())

    def serving_versions(self) -> dict[str, int]:
        """Serving version of each collection."""
        with self._database.session() as session:
            return {name: version for version, name in session.rows("serving_versions")}

    def serving_specs(self) -> list[FeatureSpec]:
        """Feature specs of the serving versions."""
        with self._database.session() as session:
            return [FeatureSpec.from_json(spec) for (spec,) in session.rows("serving_specs")]
