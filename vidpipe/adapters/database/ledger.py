"""The working database: what is in it is done, and nothing else is.

Runs, features and erasure stand here; sources, predictions and decisions in files beside it.
Every statement stands in `sql/statements`, under the name used here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from vidpipe.adapters.database import sqlfiles
from vidpipe.adapters.database.connection import dicts, now_utc
from vidpipe.adapters.database.decisions import Decisions
from vidpipe.adapters.database.listings import Listings
from vidpipe.adapters.database.predictions import Predictions
from vidpipe.adapters.database.rows import IDS, MOVES, OUTCOMES, listed_file, outcome_row, worst_outcomes
from vidpipe.errors import Misread
from vidpipe.records.features import FeatureSpec, PartResult, StoredFeatures
from vidpipe.records.machine import Unfinished
from vidpipe.records.models import LabelledVideo
from vidpipe.records.videos import Failure, PendingVideo, Place, canonical_json
from vidpipe.uris import place_of


class Ledger(Listings, Predictions, Decisions):
    """The ledger of one home.

    All methods raise what `Database` says.
    """

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

    # -- features -------------------------------------------------------------------------------

    def pending_videos(
        self, feature_set_id: str, collection: str | None, *, retry_failed: bool
    ) -> list[PendingVideo]:
        """Present videos that lack features of this set."""
        with self.session() as session:
            rows = session.rows(
                "features_pending", feature_set_id=feature_set_id, collection=collection,
                retry_failed=retry_failed, misread=Misread.__name__,
            )  # fmt: skip
        return [
            PendingVideo(v, place_of(source, listed_file(*listed), v), *facts)
            for v, source, listed, *facts in ((r[0], r[1], r[2:8], *r[8:]) for r in rows)
        ]

    def place_of(self, collection: str, path: str) -> Place | None:
        """Where the bytes of a path that were hashed can be read, if there are any."""
        with self.session() as session:
            rows = session.rows("place_of_path", collection=collection, path=path)
        return next((place_of(source, listed_file(*listed), v) for v, source, *listed in rows), None)

    def count_features(self, feature_set_id: str, collection: str | None) -> int:
        """How many present videos have features of this set."""
        with self.session() as session:
            rows = session.rows("features_count", feature_set_id=feature_set_id, collection=collection)
        return int(rows[0][0])

    def count_other_features(self, feature_set_id: str, collection: str | None) -> int:
        """Present videos with features of other sets, but none of this one."""
        with self.session() as session:
            rows = session.rows("other_features_count", feature_set_id=feature_set_id, collection=collection)
        return int(rows[0][0])

    def feature_specs(self, collection: str | None) -> list[FeatureSpec]:
        """Specs by which the present videos of the request have features, newest first."""
        with self.session() as session:
            rows = session.rows("feature_specs", collection=collection)
        return [FeatureSpec.from_json(spec) for (spec,) in rows]

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
            session.give("given", OUTCOMES, [outcome_row(v) for v in worst_outcomes(results)])
            session.run("verdicts_put")
            session.run("failures_resolve_videos", misread=Misread.__name__)
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

    def stored_features(self, feature_set_id: str, video_ids: Iterable[str]) -> list[StoredFeatures]:
        """Where the features of these videos lie; those without are left out."""
        with self.session() as session:
            session.give("given", IDS, [(v,) for v in video_ids])
            rows = session.rows("stored_features", feature_set_id=feature_set_id)
        return [StoredFeatures(*row) for row in rows]

    # -- for people to look at -------------------------------------------------------------------

    def unfinished(self) -> Unfinished | None:
        """What has not ended and what is named, read without a trace; None while there is no ledger."""
        with self.read_only() as session:
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

    def table(self, statement: str) -> list[dict[str, Any]]:
        """The rows of a statement without parameters, for people to look at: also those who may not write."""
        may_write = not self.file.exists() or os.access(self.file, os.W_OK, effective_ids=True)
        with self.session() if may_write else self.read_only(wait_s=self._wait_s) as session:
            assert session is not None
            return dicts(session.connection.execute(sqlfiles.statement(statement)))

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
