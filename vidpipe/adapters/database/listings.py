"""The ledger's tables about sources: collections, what they list, its contents, labels and failures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vidpipe.adapters.database.connection import Database, Session, now_utc
from vidpipe.adapters.database.rows import (
    FAILURES,
    GIVEN_LABELS,
    GIVEN_PATHS,
    IDS,
    LISTING,
    PATHS,
    SPANS,
    VIDEOS,
    listing_row,
    video_row,
    windows_row,
)
from vidpipe.errors import Misread, StillChanging
from vidpipe.records.globs import Globs
from vidpipe.records.videos import Collection, Failure, ProbedVideo, SourceFile, Stage, Windows


class Listings(Database):
    """What is there.

    All methods raise what `Database` says.
    """

    def __init__(self, file: Path, *, max_attempts: int = 3, wait_s: float = 60.0) -> None:
        super().__init__(file, wait_s=wait_s)
        self._max_attempts = max_attempts

    # -- collections ----------------------------------------------------------------------------

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
                stride_s=stride_s, include_globs=list(collection.globs.include),
                exclude_globs=list(collection.globs.exclude), now=now_utc(),
            )  # fmt: skip

    # -- what they list -------------------------------------------------------------------------

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

    # -- labels ---------------------------------------------------------------------------------

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

    # -- failures -------------------------------------------------------------------------------

    def put_failures(self, failures: Sequence[Failure]) -> None:
        """Record failures that have no file behind them."""
        with self.session() as session:
            self._put_failures(session, failures)

    def _put_failures(self, session: Session, failures: Sequence[Failure]) -> None:
        rows = [(f.collection, f.path, f.video_id, f.stage, f.error_class, f.message) for f in failures]
        session.give("given", FAILURES, rows)
        session.run(
            "failures_put", max_attempts=self._max_attempts, waiting=StillChanging.__name__,
            misread=Misread.__name__, now=now_utc(),
        )  # fmt: skip

    def reset_failures(self, collection: str | None) -> int:
        """Forget attempts and verdicts of failing videos; the number of failures to be tried again."""
        with self.session() as session:
            before = session.rows("failures_unresolved", collection=collection)[0][0]
            session.run("failures_reset", collection=collection)
            return int(before)


def _collection(
    name: str, source: str, manifest: str | None, label_from: str | None, window_s: float | None,
    stride_s: float | None, include: list[str] | None, exclude: list[str] | None,
) -> Collection:  # fmt: skip
    windows, globs = Windows.of(window_s, stride_s), Globs.of(include, exclude)
    return Collection(name, source, manifest, label_from, windows, globs)
