"""The working database: what is in it is done, and nothing else is.

One process at a time has it open, for one short transaction: a lock file of ours makes the others wait
their turn instead of failing. Every statement stands in `sql/statements`, under the name used here.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from vidpipe.adapters import sqlfiles
from vidpipe.errors import LedgerLocked, SchemaMismatch, StorageFailed
from vidpipe.records import (
    Collection,
    ExtractedVideo,
    Failure,
    FeatureSpec,
    LabelledVideo,
    PartResult,
    PendingVideo,
    Prediction,
    ProbedVideo,
    Promotion,
    SourceFile,
    Stage,
    StoredFeatures,
    canonical_json,
)

STORAGE_VERSION = "v1.5.0"
"""DuckDB 1.5 and newer open the files, and so do the tools that people have today."""
_POLL_S = 0.02

_SPLITS = pa.map_(pa.string(), pa.string())
_LISTING = pa.schema(
    {
        "path": pa.string(), "size_bytes": pa.int64(), "mtime_ns": pa.int64(), "inode": pa.uint64(),
        "label": pa.string(), "group_name": pa.string(), "splits": _SPLITS, "video_id": pa.string(),
    }
)  # fmt: skip
_VIDEOS = pa.schema(
    {
        "video_id": pa.string(), "bytes": pa.int64(), "container": pa.string(), "video_codec": pa.string(),
        "width_px": pa.int32(), "height_px": pa.int32(), "rotation": pa.int32(), "source_fps": pa.float64(),
        "is_vfr": pa.bool_(), "duration_s": pa.float64(), "frames_expected": pa.int64(),
        "verdict": pa.string(),
    }
)  # fmt: skip
_FAILURES = pa.schema(
    {name: pa.string() for name in ("collection", "path", "video_id", "stage", "error_class", "message")}
)
_OUTCOMES = pa.schema(
    {
        "video_id": pa.string(), "n_frames": pa.int32(), "row_offset": pa.int64(), "verdict": pa.string(),
        "frames_decoded": pa.int64(), "decode_errors": pa.int64(), "error_class": pa.string(),
        "message": pa.string(),
    }
)  # fmt: skip
_PREDICTIONS = pa.schema(
    {"video_id": pa.string(), "rank": pa.uint8(), "label": pa.string(), "score": pa.float32()}
)
_IDS = pa.schema({"video_id": pa.string()})
_PATHS = pa.schema({"path": pa.string()})


def now_utc() -> datetime:
    """Naive UTC, as every timestamp of the ledger."""
    return datetime.now(UTC).replace(tzinfo=None)


class _Session:
    """One open transaction: `rows` and `run` execute a named statement."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def rows(self, name: str, /, **parameters: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(sqlfiles.statement(name), parameters).fetchall()

    def run(self, name: str, /, **parameters: Any) -> None:
        # Several statements in one file each take only the parameters that they name.
        for part in duckdb.extract_statements(sqlfiles.statement(name)):
            named = {k: v for k, v in parameters.items() if k in part.named_parameters}
            self.connection.execute(part, named)

    def give(self, relation: str, schema: pa.Schema, rows: Iterable[Sequence[Any]]) -> None:
        """Make rows readable as `relation` for the following statements."""
        columns = list(zip(*rows, strict=True)) or [() for _ in schema]
        arrays = [pa.array(c, t) for c, t in zip(columns, schema.types, strict=True)]
        self.connection.register(relation, pa.Table.from_arrays(arrays, schema=schema))


class Ledger:
    """The ledger of one home.

    All methods raise `LedgerLocked` when another process keeps it for longer than `wait_s`, and
    `StorageFailed` when the disk is full or read-only.
    """

    def __init__(self, file: Path, *, max_attempts: int = 3, wait_s: float = 60.0) -> None:
        self.file = file
        self._max_attempts = max_attempts
        self._wait_s = wait_s

    # -- opening --------------------------------------------------------------------------------

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """No process has the ledger open while this is held; it is created and migrated by then."""
        with _waiting_lock(self.file.parent / "ledger.lock", self._wait_s):
            if not self.file.exists():
                self._create()
            yield

    @contextmanager
    def _session(self) -> Iterator[_Session]:
        with self.exclusive(), _storage_errors(self.file):
            connection = _connect(self.file, self._wait_s)
            try:
                self._migrate(connection)
                connection.begin()
                yield _Session(connection)
                connection.commit()
            finally:
                connection.close()  # an open transaction is rolled back

    def _create(self) -> None:
        """Build the file under a temporary name: a half-made ledger never has the real one."""
        temp = self.file.with_suffix(".new")
        with _storage_errors(self.file):
            for leftover in (temp, Path(f"{temp}.wal")):
                leftover.unlink(missing_ok=True)
            connection = _connect(temp, self._wait_s)
            _apply_migrations(connection, 0)
            connection.close()
            temp.rename(self.file)

    def _migrate(self, connection: duckdb.DuckDBPyConnection) -> None:
        session = _Session(connection)
        found = int(session.rows("migration_latest")[0][0])
        latest = sqlfiles.migrations()[-1][0]
        if found > latest:
            raise SchemaMismatch(
                f"{self.file} has schema {found}, this vidpipe knows up to {latest}.",
                next_step="use the newer vidpipe that wrote it.",
            )
        views_hash = hashlib.sha256(sqlfiles.views().encode()).hexdigest()
        if found < latest:
            connection.execute("checkpoint")
            shutil.copyfile(self.file, self.file.with_name(f"ledger-before-{latest}.duckdb"))
        if found < latest or session.rows("views_hash") != [(views_hash,)]:
            _apply_migrations(connection, found)

    # -- runs -----------------------------------------------------------------------------------

    def start_run(self, kind: str, *, alone: bool) -> int:
        """Open a row of `runs`; with `alone`, runs left open by a dead process become `crashed`."""
        with self._session() as session:
            if alone:
                session.run("run_mark_crashed", now=now_utc())
            return int(session.rows("run_start", kind=kind, now=now_utc())[0][0])

    def finish_run(
        self, run_id: int, *, status: str, videos: int, frames: int, failed: int, seconds: float,
        detail: Mapping[str, Any],
    ) -> None:  # fmt: skip
        """Close a row of `runs`."""
        with self._session() as session:
            session.run(
                "run_finish", run_id=run_id, status=status, videos=videos, frames=frames, failed=failed,
                seconds=seconds, detail=canonical_json(detail), now=now_utc(),
            )  # fmt: skip

    # -- collections and videos -----------------------------------------------------------------

    def collection(self, name: str) -> Collection | None:
        """The named collection."""
        with self._session() as session:
            rows = session.rows("collection_get", name=name)
        return Collection(*rows[0]) if rows else None

    def collections(self) -> list[Collection]:
        """All collections, oldest first."""
        with self._session() as session:
            return [Collection(*row) for row in session.rows("collection_all")]

    def put_collection(self, collection: Collection) -> None:
        """Create the collection, or change its source."""
        with self._session() as session:
            session.run(
                "collection_put", name=collection.name, source=collection.source,
                manifest=collection.manifest, label_from=collection.label_from, now=now_utc(),
            )  # fmt: skip

    def present_paths(self, collection: str) -> set[str]:
        """Paths that were there at the last listing."""
        with self._session() as session:
            return {path for (path,) in session.rows("listing_known", collection=collection)}

    def changed_paths(
        self, collection: str, listing: Sequence[SourceFile], *, retry_failed: bool
    ) -> set[str]:
        """Listed paths whose bytes must be read."""
        with self._session() as session:
            session.give("listing", _LISTING, [_listing_row(f, None) for f in listing])
            rows = session.rows("listing_changes", collection=collection, retry_failed=retry_failed)
            return {path for (path,) in rows}

    def known_videos(
        self, video_ids: Iterable[str], *, retry_failed: bool
    ) -> dict[str, tuple[Stage, str, str] | None]:
        """Contents that need no probe, with the (stage, error class, message) of the bad ones."""
        with self._session() as session:
            session.give("given", _IDS, [(v,) for v in video_ids])
            rows = session.rows("videos_known", retry_failed=retry_failed)
        return {row[0]: (row[1], row[2], row[3]) if row[1] else None for row in rows}

    def put_videos(
        self, collection: str, files: Sequence[tuple[SourceFile, str | None]],
        videos: Sequence[ProbedVideo], failures: Sequence[Failure],
    ) -> None:  # fmt: skip
        """Record files that have been read, as (file, video_id), their contents and what failed."""
        with self._session() as session:
            session.give("given", _VIDEOS, [_video_row(v) for v in videos])
            session.run("videos_put")
            session.give("given", _LISTING, [_listing_row(f, video_id) for f, video_id in files])
            session.run("listing_put", collection=collection, now=now_utc())
            failed = {f.path for f in failures}
            session.give("given", _PATHS, [(f.path,) for f, _ in files if f.path not in failed])
            session.run("failures_resolve_paths", collection=collection)
            self._put_failures(session, failures)

    def put_listing(self, collection: str, listing: Sequence[SourceFile]) -> int:
        """Record presence, labels, groups and splits as listed; the number of paths now absent."""
        with self._session() as session:
            session.give("listing", _LISTING, [_listing_row(f, None) for f in listing])
            session.run("listing_touch", collection=collection, now=now_utc())
            return len(session.rows("listing_absent", collection=collection))

    def put_failures(self, failures: Sequence[Failure]) -> None:
        """Record failures that have no file behind them."""
        with self._session() as session:
            self._put_failures(session, failures)

    def _put_failures(self, session: _Session, failures: Sequence[Failure]) -> None:
        rows = [(f.collection, f.path, f.video_id, f.stage, f.error_class, f.message) for f in failures]
        session.give("given", _FAILURES, rows)
        session.run("failures_put", max_attempts=self._max_attempts, now=now_utc())

    def reset_failures(self, collection: str | None) -> int:
        """Forget attempts and verdicts of failing videos; the number of failures to be tried again."""
        with self._session() as session:
            before = session.rows("failures_unresolved", collection=collection)[0][0]
            session.run("failures_reset", collection=collection)
            return int(before)

    # -- features -------------------------------------------------------------------------------

    def pending_videos(
        self, feature_set_id: str, collection: str | None, *, retry_failed: bool
    ) -> list[PendingVideo]:
        """Present videos that lack features of this set."""
        with self._session() as session:
            rows = session.rows(
                "features_pending", feature_set_id=feature_set_id, collection=collection,
                retry_failed=retry_failed,
            )  # fmt: skip
        return [PendingVideo(v, Path(source) / path, d, n) for v, source, path, d, n in rows]

    def count_features(self, feature_set_id: str, collection: str | None) -> int:
        """How many present videos have features of this set."""
        with self._session() as session:
            rows = session.rows("features_count", feature_set_id=feature_set_id, collection=collection)
        return int(rows[0][0])

    def put_part(self, run_id: int, spec: FeatureSpec, result: PartResult) -> None:
        """Commit one part: its rows, its videos' verdicts, its failures."""
        outcomes = [_outcome_row(v) for v in result.videos]
        with self._session() as session:
            session.run(
                "feature_set_put",
                feature_set_id=result.feature_set_id,
                spec=spec.to_json(),
                now=now_utc(),
            )
            session.give("given", _OUTCOMES, outcomes)
            session.run(
                "features_put", feature_set_id=result.feature_set_id, part=result.part,
                numerics=result.numerics, run_id=run_id,
            )  # fmt: skip
            session.run("verdicts_put")
            session.run("failures_resolve_videos")
            failing = [Failure(c, p, v, "extract", e, m) for c, p, v, e, m in session.rows("failing_paths")]
            self._put_failures(session, failing)

    def labelled_videos(self, collection: str, feature_set_id: str) -> list[LabelledVideo]:
        """Labelled present videos with features, one for each path."""
        with self._session() as session:
            rows = session.rows("labelled_videos", collection=collection, feature_set_id=feature_set_id)
        return [
            LabelledVideo(v, path, label, group, dict(splits or {}), StoredFeatures(v, part, offset, n))
            for v, path, label, group, splits, part, offset, n in rows
        ]

    def count_labelled(self, collection: str) -> int:
        """Present paths with a label, with or without features."""
        with self._session() as session:
            return int(session.rows("labels_known", collection=collection)[0][0])

    def stored_features(self, feature_set_id: str, video_ids: Iterable[str]) -> list[StoredFeatures]:
        """Where the features of these videos lie; those without are left out."""
        with self._session() as session:
            session.give("given", _IDS, [(v,) for v in video_ids])
            rows = session.rows("stored_features", feature_set_id=feature_set_id)
        return [StoredFeatures(*row) for row in rows]

    # -- predictions ----------------------------------------------------------------------------

    def unscored(
        self, model_version: int, feature_set_id: str, collection: str | None
    ) -> list[StoredFeatures]:
        """Present videos with usable features that this version has not scored, in part order."""
        with self._session() as session:
            rows = session.rows(
                "unscored", model_version=model_version, feature_set_id=feature_set_id,
                collection=collection,
            )  # fmt: skip
        return [StoredFeatures(*row) for row in rows]

    def count_scored(self, model_version: int, collection: str | None) -> int:
        """Present videos that this version has scored."""
        with self._session() as session:
            rows = session.rows("scored_count", model_version=model_version, collection=collection)
        return int(rows[0][0])

    def count_other_features(self, feature_set_id: str, collection: str | None) -> int:
        """Present videos with features of other sets, but none of this one."""
        with self._session() as session:
            rows = session.rows("other_features_count", feature_set_id=feature_set_id, collection=collection)
        return int(rows[0][0])

    def put_predictions(
        self,
        run_id: int,
        model: str,
        version: int,
        feature_set_id: str,
        predictions: Sequence[Prediction],
    ) -> None:
        """Store predictions; videos that this version has scored by now keep their rows."""
        rows = [(p.video_id, p.rank, p.label, p.score) for p in predictions]
        with self._session() as session:
            session.give("given", _PREDICTIONS, rows)
            session.run("model_put", model_name=model)
            session.run("labels_put")
            session.run(
                "predictions_put", run_id=run_id, model_name=model, model_version=version,
                feature_set_id=feature_set_id, now=now_utc(),
            )  # fmt: skip

    def switch_serving(self, version: int) -> None:
        """Every collection that this version has scored completely serves it from now on."""
        with self._session() as session:
            session.run("serving_switch", model_version=version, now=now_utc())

    def serving_versions(self) -> dict[str, int]:
        """Collection to the version that it serves."""
        with self._session() as session:
            return {name: version for version, name in session.rows("serving_versions")}

    def feature_specs(self, collection: str | None) -> list[FeatureSpec]:
        """Specs by which the present videos of the request have features, newest first."""
        with self._session() as session:
            rows = session.rows("feature_specs", collection=collection)
        return [FeatureSpec.from_json(spec) for (spec,) in rows]

    def table(self, statement: str) -> list[dict[str, Any]]:
        """The rows of a statement without parameters, for people to look at."""
        with self._session() as session:
            cursor = session.connection.execute(sqlfiles.statement(statement))
            names = [column[0] for column in cursor.description or []]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    # -- promotions -----------------------------------------------------------------------------

    def put_promotion(
        self, model: str, promotion: Promotion, *, evidence: Mapping[str, Any], eval_set_hash: str | None,
        reason: str | None, actor: str, final: bool,
    ) -> int:  # fmt: skip
        """Append a decision, or with `final=False` the intent to carry it out; its id."""
        with self._session() as session:
            rows = session.rows(
                "promotion_intent", model_name=model, from_version=promotion.from_version,
                to_version=promotion.to_version, decision=promotion.decision,
                evidence=canonical_json(evidence), eval_set_hash=eval_set_hash, reason=reason, actor=actor,
                now=now_utc(), is_final=final,
            )  # fmt: skip
            return int(rows[0][0])

    def finish_promotion(self, promotion_id: int, *, serve: int | None = None) -> None:
        """Make an intent final; with `serve`, all collections switch in the same transaction."""
        with self._session() as session:
            session.run("promotion_finish", promotion_id=promotion_id)
            if serve is not None:
                session.run("serving_switch_all", model_version=serve, now=now_utc())

    def open_promotions(self, model: str) -> list[Promotion]:
        """Intents that were never finished."""
        with self._session() as session:
            return [Promotion(*row) for row in session.rows("promotion_open", model_name=model)]

    def promotion_history(self, model: str) -> list[Promotion]:
        """Decisions that moved the champion, oldest first."""
        with self._session() as session:
            return [Promotion(*row) for row in session.rows("promotion_history", model_name=model)]


# -- opening, locking, migrating ----------------------------------------------------------------


@contextmanager
def _waiting_lock(file: Path, wait_s: float) -> Iterator[None]:
    with _storage_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LedgerLocked(
                        f"another process has kept {file} for {wait_s:.0f} s.",
                        next_step="vidpipe status shows who; try again when it has ended.",
                    ) from None
                time.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)


def _connect(file: Path, wait_s: float) -> duckdb.DuckDBPyConnection:
    """Open for writing, waiting for a person's tool that may have it open."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return duckdb.connect(str(file), config={"storage_compatibility_version": STORAGE_VERSION})
        except duckdb.IOException as error:
            if "lock" not in str(error).lower():
                raise
            if time.monotonic() > deadline:
                raise LedgerLocked(
                    f"another program has {file} open: {str(error).splitlines()[0]}",
                    next_step="close it; people's queries belong on warehouse.duckdb.",
                ) from None
            time.sleep(_POLL_S * 10)


@contextmanager
def _storage_errors(file: Path) -> Iterator[None]:
    try:
        yield
    except (duckdb.IOException, duckdb.TransactionException, OSError) as error:
        # A commit that the disk has no room for is a TransactionException; we cause no other.
        if isinstance(error, StorageFailed):
            raise
        raise StorageFailed(
            f"cannot write {file}: {str(error).splitlines()[0]}",
            next_step="check free space and permissions, then run the same command again.",
        ) from error


def _apply_migrations(connection: duckdb.DuckDBPyConnection, found: int) -> None:
    """Missing migrations, the record of each, and the views, in one transaction."""
    session = _Session(connection)
    views = sqlfiles.views()
    connection.begin()
    for version, name, text in sqlfiles.migrations():
        if version > found:
            connection.execute(text)
            session.run("migration_record", version=version, name=name, now=now_utc())
    connection.execute(views)
    session.run("views_record", views_hash=hashlib.sha256(views.encode()).hexdigest())
    connection.commit()


# -- rows ---------------------------------------------------------------------------------------


def _listing_row(file: SourceFile, video_id: str | None) -> tuple[Any, ...]:
    splits = list(file.splits.items())
    return (
        file.path, file.size_bytes, file.mtime_ns, file.inode, file.label, file.group, splits, video_id,
    )  # fmt: skip


def _video_row(video: ProbedVideo) -> tuple[Any, ...]:
    f = video.facts
    facts: tuple[Any, ...] = (None,) * 9
    if f:
        facts = (
            f.container, f.video_codec, f.width_px, f.height_px, f.rotation, f.source_fps, f.is_vfr,
            f.duration_s, f.frames_expected,
        )  # fmt: skip
    return (video.video_id, video.size_bytes, *facts, video.verdict)


def _outcome_row(video: ExtractedVideo) -> tuple[Any, ...]:
    stored, report = video.stored, video.report
    return (
        video.video_id,
        stored.n_frames if stored else None,
        stored.row_offset if stored else None,
        video.verdict,
        report.frames_decoded if report else None,
        report.decode_errors if report else None,
        video.error_class,
        video.message,
    )
