"""The working database: what is in it is done, and nothing else is.

Every statement stands in `sql/statements`, under the name used here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from vidpipe.adapters import sqlfiles
from vidpipe.adapters.database import Session, now_utc
from vidpipe.adapters.decisions import Decisions
from vidpipe.adapters.ledger_rows import (
    FAILURES,
    GIVEN_LABELS,
    GIVEN_PATHS,
    IDS,
    LISTING,
    MOVES,
    OUTCOMES,
    PATHS,
    PREDICTIONS,
    SPANS,
    VIDEOS,
    WINDOWS,
    listing_row,
    outcome_row,
    prediction_row,
    video_row,
    windows_row,
)
from vidpipe.lessons import LabelledVideo
from vidpipe.machine_facts import Unfinished
from vidpipe.places import place_of
from vidpipe.records import (
    Collection,
    Failure,
    FeatureSpec,
    PartResult,
    PendingVideo,
    Prediction,
    ProbedVideo,
    SourceFile,
    Stage,
    StoredFeatures,
    Unscored,
    WindowPrediction,
    Windows,
    canonical_json,
)


class Ledger(Decisions):
    """The ledger of one home.

    All methods raise what `Database` says.
    """

    def __init__(self, file: Path, *, max_attempts: int = 3, wait_s: float = 60.0) -> None:
        super().__init__(file, wait_s=wait_s)
        self._max_attempts = max_attempts

    # -- runs -----------------------------------------------------------------------------------

    def start_run(self, kind: str, *, ended: Sequence[str] = ()) -> int:
        """Open a row of `runs`; what the `ended` kinds, whose processes are dead, left open has crashed."""
        with self.session() as session:
            if ended:
                session.run("run_mark_crashed", kinds=list(ended), now=now_utc())
            return int(session.rows("run_start", kind=kind, now=now_utc())[0][0])

    def finish_run(
        self, run_id: int, *, status: str, videos: int, frames: int, failed: int, seconds: float,
        detail: Mapping[str, Any],
    ) -> None:  # fmt: skip
        """Close a row of `runs`."""
        with self.session() as session:
            session.run(
                "run_finish", run_id=run_id, status=status, videos=videos, frames=frames, failed=failed,
                seconds=seconds, detail=canonical_json(detail), now=now_utc(),
            )  # fmt: skip

    def night_since(self, moment: datetime) -> int | None:
        """The last night that began at or after a moment (UTC, naive) and was not in vain."""
        with self.session() as session:
            found = session.rows("night_since", moment=moment)[0][0]
            return None if found is None else int(found)

    # -- collections and videos -----------------------------------------------------------------

    def collection(self, name: str) -> Collection | None:
        """The named collection."""
        with self.session() as session:
            rows = session.rows("collection_get", name=name)
        return _collection(*rows[0]) if rows else None

    def collections(self) -> list[Collection]:
        """All collections, oldest first."""
        with self.session() as session:
            return [_collection(*row) for row in session.rows("collection_all")]

    def put_collection(self, collection: Collection) -> None:
        """Create the collection, or change its source or windows."""
        window_s, stride_s = windows_row(collection.windows)
        with self.session() as session:
            session.run(
                "collection_put", name=collection.name, source=collection.source,
                manifest=collection.manifest, label_from=collection.label_from, window_s=window_s,
                stride_s=stride_s, now=now_utc(),
            )  # fmt: skip

    def present_paths(self, collection: str) -> set[str]:
        """Paths that were there at the last listing."""
        with self.session() as session:
            return {path for (path,) in session.rows("listing_known", collection=collection)}

    def changed_paths(
        self, collection: str, listing: Sequence[SourceFile], *, retry_failed: bool
    ) -> set[str]:
        """Listed paths whose bytes must be read."""
        with self.session() as session:
            session.give("listing", LISTING, [listing_row(f, None) for f in listing])
            rows = session.rows("listing_changes", collection=collection, retry_failed=retry_failed)
            return {path for (path,) in rows}

    def known_videos(
        self, video_ids: Iterable[str], *, retry_failed: bool
    ) -> dict[str, tuple[Stage, str, str] | None]:
        """Contents that need no probe, with the (stage, error class, message) of the bad ones."""
        with self.session() as session:
            session.give("given", IDS, [(v,) for v in video_ids])
            rows = session.rows("videos_known", retry_failed=retry_failed)
        return {row[0]: (row[1], row[2], row[3]) if row[1] else None for row in rows}

    def put_videos(
        self, collection: str, files: Sequence[tuple[SourceFile, str | None]],
        videos: Sequence[ProbedVideo], failures: Sequence[Failure],
    ) -> None:  # fmt: skip
        """Record files that have been read, as (file, video_id), their contents and what failed."""
        with self.session() as session:
            session.give("given", VIDEOS, [video_row(v) for v in videos])
            session.run("videos_put")
            session.give("given", LISTING, [listing_row(f, video_id) for f, video_id in files])
            session.run("listing_put", collection=collection, now=now_utc())
            failed = {f.path for f in failures}
            session.give("given", PATHS, [(f.path, video_id, f.path in failed) for f, video_id in files])
            session.run("failures_resolve_paths", collection=collection)
            self._put_failures(session, failures)

    def put_listing(self, collection: str, listing: Sequence[SourceFile]) -> int:
        """Record presence, labels, groups and splits as listed; the number of paths now absent."""
        with self.session() as session:
            session.give("listing", LISTING, [listing_row(f, None) for f in listing])
            session.run("listing_touch", collection=collection, now=now_utc())
            spans = [(f.path, s.start_s, s.end_s, s.label) for f in listing for s in f.spans]
            session.give("given", SPANS, spans)
            session.run("labelled_spans_put", collection=collection)
            return len(session.rows("listing_absent", collection=collection))

    def put_failures(self, failures: Sequence[Failure]) -> None:
        """Record failures that have no file behind them."""
        with self.session() as session:
            self._put_failures(session, failures)

    def _put_failures(self, session: Session, failures: Sequence[Failure]) -> None:
        rows = [(f.collection, f.path, f.video_id, f.stage, f.error_class, f.message) for f in failures]
        session.give("given", FAILURES, rows)
        session.run("failures_put", max_attempts=self._max_attempts, now=now_utc())

    def reset_failures(self, collection: str | None) -> int:
        """Forget attempts and verdicts of failing videos; the number of failures to be tried again."""
        with self.session() as session:
            before = session.rows("failures_unresolved", collection=collection)[0][0]
            session.run("failures_reset", collection=collection)
            return int(before)

    # -- features -------------------------------------------------------------------------------

    def pending_videos(
        self, feature_set_id: str, collection: str | None, *, retry_failed: bool
    ) -> list[PendingVideo]:
        """Present videos that lack features of this set."""
        with self.session() as session:
            rows = session.rows(
                "features_pending", feature_set_id=feature_set_id, collection=collection,
                retry_failed=retry_failed,
            )  # fmt: skip
        return [
            PendingVideo(v, place_of(source, path, size, etag), *facts)
            for v, source, path, size, etag, *facts in rows
        ]

    def count_features(self, feature_set_id: str, collection: str | None) -> int:
        """How many present videos have features of this set."""
        with self.session() as session:
            rows = session.rows("features_count", feature_set_id=feature_set_id, collection=collection)
        return int(rows[0][0])

    def put_parts(self, run_id: int, results: Sequence[PartResult]) -> None:
        """Commit one batch: the rows of its parts, its videos' verdicts, its failures."""
        with self.session() as session:
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
            session.run("verdicts_put")  # the same for every part of a batch
            session.run("failures_resolve_videos")
            failing = [Failure(c, p, v, "extract", e, m) for c, p, v, e, m in session.rows("failing_paths")]
            self._put_failures(session, failing)

    def labelled_videos(self, collection: str, feature_set_id: str) -> list[LabelledVideo]:
        """Labelled present videos with features, one for each path, or for each labelled span of it."""
        with self.session() as session:
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
            )
            for v, path, label, group, splits, part, offset, n, given, start_s, end_s in rows
        ]

    def count_labelled(self, collection: str) -> int:
        """Labels of present paths and of spans of them, with or without features."""
        with self.session() as session:
            return int(session.rows("labels_known", collection=collection)[0][0])

    def items_at(self, collection: str, paths: Iterable[str]) -> dict[str, tuple[str, str | None]]:
        """Path to (video_id, label that holds), of those paths at which the collection knows a video."""
        with self.session() as session:
            session.give("given", GIVEN_PATHS, [(path,) for path in paths])
            rows = session.rows("items_of_paths", collection=collection)
        return {path: (video_id, label) for path, video_id, label in rows}

    def give_labels(self, collection: str, labels: Mapping[str, str], source: str) -> None:
        """From now on these videos, by id, carry these labels in the collection, whatever is listed."""
        with self.session() as session:
            session.give("given", GIVEN_LABELS, list(labels.items()))
            session.run("given_labels_put", collection=collection, source=source, now=now_utc())

    def stored_features(self, feature_set_id: str, video_ids: Iterable[str]) -> list[StoredFeatures]:
        """Where the features of these videos lie; those without are left out."""
        with self.session() as session:
            session.give("given", IDS, [(v,) for v in video_ids])
            rows = session.rows("stored_features", feature_set_id=feature_set_id)
        return [StoredFeatures(*row) for row in rows]

    def windows_of(self, video_id: str) -> Windows | None:
        """How this video is scored; None: as a whole."""
        with self.session() as session:
            rows = session.rows("windows_of_video", video_id=video_id)
        return Windows.of(*rows[0]) if rows else None

    # -- health ---------------------------------------------------------------------------------

    def unfinished(self) -> Unfinished | None:
        """What has not ended and what is named, read without a trace; None while there is no ledger."""
        with self.glance() as session:
            if session is None:
                return None
            return Unfinished(
                schema=int(session.rows("migration_latest")[0][0]),
                known_schema=sqlfiles.migrations()[-1][0],
                open_runs=[(run_id, kind) for run_id, kind in session.rows("open_runs")],
                open_intents=[number for (number,) in session.rows("open_intents")],
                parts=frozenset((spec, part) for spec, part in session.rows("parts_named")),
                sources=[source for (source,) in session.rows("sources")],
            )

    # -- garbage and erasure --------------------------------------------------------------------

    def named_parts(self) -> set[tuple[str, str]]:
        """Every part that is in use, as (feature_set_id, part)."""
        with self.session() as session:
            return {(feature_set_id, part) for feature_set_id, part in session.rows("parts_named")}

    def videos_starting(self, prefix: str) -> list[str]:
        """At most two ids that start like this."""
        with self.session() as session:
            return [video_id for (video_id,) in session.rows("video_by_prefix", prefix=prefix)]

    def parts_of_video(self, video_id: str) -> list[tuple[str, str]]:
        """The parts that hold a video's features, as (feature_set_id, part)."""
        with self.session() as session:
            rows = session.rows("parts_of_video", video_id=video_id)
        return [(feature_set_id, part) for feature_set_id, part in rows]

    def features_of_part(self, feature_set_id: str, part: str) -> list[StoredFeatures]:
        """What a part holds, in the order of its rows."""
        with self.session() as session:
            rows = session.rows("features_of_part", feature_set_id=feature_set_id, part=part)
        return [StoredFeatures(*row) for row in rows]

    def forget(self, video_id: str, moved: Sequence[tuple[str, Sequence[StoredFeatures]]]) -> None:
        """Erase a video; its former neighbours lie, by feature set, where `moved` says."""
        with self.session() as session:
            for feature_set_id, stored in moved:
                session.give("given", MOVES, [(s.video_id, s.part, s.row_offset) for s in stored])
                session.run("features_move", feature_set_id=feature_set_id)
            session.run("video_forget", video_id=video_id, now=now_utc())

    # -- predictions ----------------------------------------------------------------------------

    def unscored(
        self, model_version: int, feature_set_id: str, collections: Sequence[str] | None
    ) -> list[Unscored]:
        """Present videos, of these collections or of all, that this version has to score, in part order.

        A video that it has scored in other windows than are wanted now is among them.
        """
        with self.session() as session:
            rows = session.rows(
                "unscored", model_version=model_version, feature_set_id=feature_set_id,
                collections=collections,
            )  # fmt: skip
        return [
            Unscored(video_id, part, offset, n, Windows.of(window_s, stride_s))
            for video_id, part, offset, n, window_s, stride_s in rows
        ]

    def count_scored(self, model_version: int, collection: str | None) -> int:
        """Present videos that this version has scored."""
        with self.session() as session:
            rows = session.rows("scored_count", model_version=model_version, collection=collection)
        return int(rows[0][0])

    def count_other_features(self, feature_set_id: str, collection: str | None) -> int:
        """Present videos with features of other sets, but none of this one."""
        with self.session() as session:
            rows = session.rows("other_features_count", feature_set_id=feature_set_id, collection=collection)
        return int(rows[0][0])

    def put_predictions(
        self,
        run_id: int,
        model: str,
        version: int,
        feature_set_id: str,
        predictions: Sequence[Prediction],
        windows: Sequence[WindowPrediction] = (),
    ) -> None:
        """Store predictions, and those of the windows that they rest on, together.

        Videos that this version has scored in the same way by now keep their rows; what it said of them in
        other windows is replaced.
        """
        version_of = {"model_version": version, "feature_set_id": feature_set_id}
        written = {**version_of, "run_id": run_id, "model_name": model, "now": now_utc()}
        with self.session() as session:
            session.give("given", PREDICTIONS, [prediction_row(p) for p in predictions])
            session.run("model_put", model_name=model)
            session.run("labels_put")
            session.run("predictions_outdated", **version_of)
            if windows:
                rows = [(w.video_id, w.start_s, w.end_s, w.rank, w.label, w.score) for w in windows]
                session.give("given", WINDOWS, rows)
                session.run("labels_put")
                session.run("window_predictions_put", **written)
                session.give("given", PREDICTIONS, [prediction_row(p) for p in predictions])
            session.run("predictions_put", **written)

    def unscored_collections(
        self, model_version: int, feature_set_id: str, collection: str | None
    ) -> list[tuple[str, int | None, int]]:
        """Collections with videos that this version has not scored, the newest first.

        Each as (name, version that it serves, number of such videos).
        """
        with self.session() as session:
            rows = session.rows(
                "unscored_collections", model_version=model_version, feature_set_id=feature_set_id,
                collection=collection,
            )  # fmt: skip
        return [(name, serving, videos) for name, serving, videos in rows]

    def switch_serving(self, version: int, collection: str | None = None) -> None:
        """The collection, or every one, that this version has scored completely serves it from now on."""
        with self.session() as session:
            session.run("serving_switch", model_version=version, collection=collection, now=now_utc())

    def serving_versions(self) -> dict[str, int]:
        """Collection to the version that it serves."""
        with self.session() as session:
            return {name: version for version, name in session.rows("serving_versions")}

    def feature_specs(self, collection: str | None) -> list[FeatureSpec]:
        """Specs by which the present videos of the request have features, newest first."""
        with self.session() as session:
            rows = session.rows("feature_specs", collection=collection)
        return [FeatureSpec.from_json(spec) for (spec,) in rows]

    def serving_specs(self) -> list[FeatureSpec]:
        """Specs that the versions which serve some collection have scored by."""
        with self.session() as session:
            return [FeatureSpec.from_json(spec) for (spec,) in session.rows("serving_specs")]

    def table(self, statement: str) -> list[dict[str, Any]]:
        """The rows of a statement without parameters, for people to look at."""
        with self.session() as session:
            cursor = session.connection.execute(sqlfiles.statement(statement))
            names = [column[0] for column in cursor.description or []]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _collection(
    name: str, source: str, manifest: str | None, label_from: str | None, *windows: float | None
) -> Collection:
    return Collection(name, source, manifest, label_from, Windows.of(*windows))
