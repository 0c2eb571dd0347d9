"""Ledger tables of features: videos to extract, positions in parts, erasure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vidpipe.adapters.database.connection import Database
from vidpipe.adapters.database.failures import Failures
from vidpipe.adapters.database.rows import (
    IDS,
    MOVES,
    OUTCOMES,
    PARTS,
    listed_file,
    outcome_row,
    worst_outcomes,
)
from vidpipe.adapters.database.session import now_utc
from vidpipe.errors import Misread
from vidpipe.records.features import FeatureSpec, PartResult, StoredFeatures
from vidpipe.records.models import LabelledVideo
from vidpipe.records.videos import Failure, PendingVideo
from vidpipe.uris import place_of


class Features:
    """Tables of feature sets and of videos' features.

    All methods raise what `Database` says.
    """

    def __init__(self, database: Database, failures: Failures) -> None:
        self._database, self._failures = database, failures

    def pending_videos(
        self, feature_set_id: str, collection: str | None, *, retry_failed: bool
    ) -> list[PendingVideo]:
        """Present videos that lack features of this set."""
        with self._database.session() as session:
            rows = session.rows(
                "features_pending", feature_set_id=feature_set_id, collection=collection,
                retry_failed=retry_failed, misread=Misread.__name__,
            )  # fmt: skip
        return [
            PendingVideo(v, place_of(source, listed_file(*listed), v), *facts)
            for v, source, listed, *facts in ((r[0], r[1], r[2:8], *r[8:]) for r in rows)
        ]

    def count_features(self, feature_set_id: str, collection: str | None) -> int:
        """Number of present videos with features of this set."""
        with self._database.session() as session:
            rows = session.rows("features_count", feature_set_id=feature_set_id, collection=collection)
        return int(rows[0][0])

    def count_other_features(self, feature_set_id: str, collection: str | None) -> int:
        """Present videos with features of other sets, but none of this one."""
        with self._database.session() as session:
            rows = session.rows("other_features_count", feature_set_id=feature_set_id, collection=collection)
        return int(rows[0][0])

    def feature_specs(self, collection: str | None) -> list[FeatureSpec]:
        """Specs by which the present videos of the request have features, newest first."""
        with self._database.session() as session:
            rows = session.rows("feature_specs", collection=collection)
        return [FeatureSpec.from_json(spec) for (spec,) in rows]

    def put_parts(self, run_id: int, results: Sequence[PartResult]) -> None:
        """Commit one shard: the rows of its parts, its videos' verdicts, its failures."""
        with self._database.session() as session:
            for result in results:
                spec = result.spec
                session.run(
                    "feature_set_put",
                    feature_set_id=spec.feature_set_id,
                    spec=spec.to_json(),
                    now=now_utc(),
                )
                session.give("given", OUTCOMES, [outcome_row(v) for v in result.videos])
                session.run(
                    "features_put", feature_set_id=spec.feature_set_id, part=result.part,
                    numerics=result.numerics, run_id=run_id,
                )  # fmt: skip
            session.give("given", OUTCOMES, [outcome_row(v) for v in worst_outcomes(results)])
            session.run("verdicts_put")
            session.run("failures_resolve_videos", misread=Misread.__name__)
            failing = [Failure(c, p, v, "extract", e, m) for c, p, v, e, m in session.rows("failing_paths")]
            self._failures.put_in(session, failing)

    def labelled_videos(self, collection: str, feature_set_id: str) -> list[LabelledVideo]:
        """Labelled present videos with features, one for each path, or for each labelled span of it."""
        with self._database.session() as session:
            rows = session.rows("labelled_videos", collection=collection, feature_set_id=feature_set_id)
        return [
            LabelledVideo(
                v,
                path,
                label,
                group,
                dict(splits or {}),
                StoredFeatures(v, part, offset, n),
                given,
                None if start_s is None else (start_s, end_s),
                multi_label,
            )
            for v, path, label, group, splits, part, offset, n, given, start_s, end_s, multi_label in rows
        ]

    def stored_features(self, feature_set_id: str, video_ids: Iterable[str]) -> list[StoredFeatures]:
        """Positions of these videos' features; videos without any are left out."""
        with self._database.session() as session:
            session.give("given", IDS, [(v,) for v in video_ids])
            rows = session.rows("stored_features", feature_set_id=feature_set_id)
        return [StoredFeatures(*row) for row in rows]

    # -- garbage and erasure --------------------------------------------------------------------

    def named_parts(self) -> set[tuple[str, str]]:
        """Every part that is in use, as (feature_set_id, part)."""
        with self._database.session() as session:
            return {(feature_set_id, part) for feature_set_id, part in session.rows("parts_named")}

    def forget_parts(self, gone: Iterable[tuple[str, str]]) -> None:
        """Let videos that are there lack the features of these parts, (feature_set_id, part), again."""
        with self._database.session() as session:
            session.give("given", PARTS, sorted(gone))
            session.run("features_of_lost_parts")

    def lack(self, feature_set_id: str, video_ids: Iterable[str], *, even_absent: bool = False) -> None:
        """Let videos that are there, or all of these, lack the features of this set again."""
        with self._database.session() as session:
            session.give("given", IDS, [(v,) for v in video_ids])
            session.run("features_unreadable", feature_set_id=feature_set_id, even_absent=even_absent)

    def parts_of_video(self, video_id: str) -> list[tuple[str, str]]:
        """The parts that hold a video's features, as (feature_set_id, part)."""
        with self._database.session() as session:
            rows = session.rows("parts_of_video", video_id=video_id)
        return [(feature_set_id, part) for feature_set_id, part in rows]

    def features_of_part(self, feature_set_id: str, part: str) -> list[StoredFeatures]:
        """Videos of a part, in the order of their rows."""
        with self._database.session() as session:
            rows = session.rows("features_of_part", feature_set_id=feature_set_id, part=part)
        return [StoredFeatures(*row) for row in rows]

    def forget(self, video_id: str, moved: Sequence[tuple[str, Sequence[StoredFeatures]]]) -> None:
        """Erase a video's rows, and record the new positions (`moved`) of the other videos of its parts."""
        with self._database.session() as session:
            for feature_set_id, stored in moved:
                session.give("given", MOVES, [(s.video_id, s.part, s.row_offset) for s in stored])
                session.run("features_move", feature_set_id=feature_set_id)
            session.run("video_forget", video_id=video_id, now=now_utc())
