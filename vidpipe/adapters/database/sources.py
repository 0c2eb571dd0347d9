"""Ledger tables of collections, the videos they list, and labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from vidpipe.adapters.database.connection import Database
from vidpipe.adapters.database.failures import Failures
from vidpipe.adapters.database.rows import (
    GIVEN_LABELS,
    GIVEN_PATHS,
    IDS,
    LISTING,
    PATHS,
    SPANS,
    VIDEOS,
    listed_file,
    listing_row,
    video_row,
    windows_row,
)
from vidpipe.adapters.database.session import now_utc
from vidpipe.records.attributes import Declared
from vidpipe.records.globs import Globs
from vidpipe.records.videos import (
    Collection,
    Failure,
    ListingChanges,
    Place,
    ProbedVideo,
    SourceFile,
    Stage,
)
from vidpipe.records.windows import Windows
from vidpipe.uris import place_of


class Sources:
    """Tables of collections and their videos.

    All methods raise what `Database` says.
    """

    def __init__(self, database: Database, failures: Failures) -> None:
        self._database, self._failures = database, failures

    # -- collections ----------------------------------------------------------------------------

    def collection(self, name: str) -> Collection | None:
        """The named collection."""
        return next(iter(self._collections(name)), None)

    def collections(self) -> list[Collection]:
        """All collections, oldest first."""
        return self._collections(None)

    def _collections(self, name: str | None) -> list[Collection]:
        with self._database.session() as session:
            return [_collection(*row) for row in session.rows("collections_get", name=name)]

    def put_collection(self, collection: Collection) -> None:
        """Create the collection, or change its source or windows."""
        window_s, stride_s = windows_row(collection.windows)
        declared = collection.declared
        with self._database.session() as session:
            session.run(
                "collection_put", name=collection.name, source=collection.source,
                manifest=collection.manifest, label_from=collection.label_from, window_s=window_s,
                stride_s=stride_s, include_globs=list(collection.globs.include),
                exclude_globs=list(collection.globs.exclude), now=now_utc(),
                attribute_names=list(declared.attributes), attribute_types=list(declared.attributes.values()),
                time_from_name=declared.time_from_name, time_zone=declared.time_zone,
                multi_label=collection.multi_label,
            )  # fmt: skip

    # -- what they list -------------------------------------------------------------------------

    def present_paths(self, collection: str) -> set[str]:
        """Paths that were there at the last listing."""
        with self._database.session() as session:
            return {path for (path,) in session.rows("listing_known", collection=collection)}

    def changes(self, collection: str, listing: Sequence[SourceFile]) -> ListingChanges:
        """Compare a listing with the recorded files: paths to read as changed, and to probe again."""
        with self._database.session() as session:
            session.give("listing", LISTING, (listing_row(f, None) for f in listing))
            rows = session.rows("listing_changes", collection=collection)
        changed = {path for path, is_changed in rows if is_changed}
        return ListingChanges(changed, {path for path, _ in rows} - changed)

    def known_videos(
        self, video_ids: Iterable[str], *, retry_failed: bool
    ) -> dict[str, tuple[Stage, str, str] | None]:
        """Videos that need no probe, with (stage, error class, message) of the bad ones."""
        with self._database.session() as session:
            session.give("given", IDS, [(v,) for v in video_ids])
            rows = session.rows("videos_known", retry_failed=retry_failed)
        return {row[0]: (row[1], row[2], row[3]) if row[1] else None for row in rows}

    def put_videos(
        self, collection: str, files: Sequence[tuple[SourceFile, str | None]],
        videos: Sequence[ProbedVideo], failures: Sequence[Failure],
    ) -> None:  # fmt: skip
        """Record files that have been read, as (file, video_id), with their videos and failures."""
        with self._database.session() as session:
            session.give("given", VIDEOS, [video_row(v) for v in videos])
            session.run("videos_put")
            session.give("given", LISTING, [listing_row(f, video_id) for f, video_id in files])
            session.run("listing_put", collection=collection, now=now_utc())
            failed = {f.path for f in failures}
            session.give("given", PATHS, [(f.path, video_id, f.path in failed) for f, video_id in files])
            session.run("failures_resolve_paths", collection=collection)
            self._failures.put_in(session, failures)

    def put_listing(self, collection: str, listing: Sequence[SourceFile]) -> int:
        """Record presence, labels, groups and splits as listed; returns the number of paths now absent."""
        with self._database.session() as session:
            session.give("listing", LISTING, (listing_row(f, None) for f in listing))
            session.run("listing_touch", collection=collection, now=now_utc())
            spans = [(f.path, s.start_s, s.end_s, s.label) for f in listing for s in f.spans]
            session.give("given", SPANS, spans)
            session.run("labelled_spans_put", collection=collection)
            return len(session.rows("listing_absent", collection=collection))

    def container_times(self, collection: str) -> dict[str, str]:
        """Container times by path, of those without a zone and those that are no date and time."""
        with self._database.session() as session:
            return dict(session.rows("container_times", collection=collection))

    def timeless(self, collection: str, paths: Iterable[str]) -> set[str]:
        """Paths, of those given, with probed videos whose container says no recording time."""
        with self._database.session() as session:
            session.give("given", GIVEN_PATHS, [(path,) for path in paths])
            return {path for (path,) in session.rows("timeless_paths", collection=collection)}

    def place_of(self, collection: str, path: str) -> Place | None:
        """Location of the file at a path as it was hashed; None if there is none."""
        with self._database.session() as session:
            rows = session.rows("place_of_path", collection=collection, path=path)
        return next((place_of(source, listed_file(*listed), v) for v, source, *listed in rows), None)

    def videos_starting(self, prefix: str) -> list[str]:
        """At most two video ids with this prefix."""
        with self._database.session() as session:
            return [video_id for (video_id,) in session.rows("video_by_prefix", prefix=prefix)]

    def videos_at(self, path: str, collection: str | None = None) -> list[tuple[str, str, bool]]:
        """Videos at a path: id, collection, whether it is present; present ones first."""
        with self._database.session() as session:
            return session.rows("videos_at_path", path=path, collection=collection)

    # -- labels ---------------------------------------------------------------------------------

    def count_labelled(self, collection: str) -> int:
        """Number of labels of present paths and of their spans, with or without features."""
        with self._database.session() as session:
            return int(session.rows("labels_known", collection=collection)[0][0])

    def labels_at(self, collection: str, paths: Iterable[str]) -> dict[str, tuple[str, str | None]]:
        """Video id and current label at each of these paths where the collection has a video."""
        with self._database.session() as session:
            session.give("given", GIVEN_PATHS, [(path,) for path in paths])
            rows = session.rows("labels_at_paths", collection=collection)
        return {path: (video_id, label) for path, video_id, label in rows}

    def give_labels(self, collection: str, labels: Mapping[str, str], source: str) -> None:
        """Record labels of videos, by id, which take precedence over listed ones."""
        with self._database.session() as session:
            session.give("given", GIVEN_LABELS, list(labels.items()))
            session.run("given_labels_put", collection=collection, source=source, now=now_utc())

    def withdraw_label(self, collection: str, video_id: str, source: str, since: datetime) -> None:
        """Take back the newest label of a video, if this source gave it since then: the one before holds."""
        with self._database.session() as session:
            session.run(
                "label_withdraw", collection=collection, video_id=video_id, source=source, since=since
            )


def _collection(
    name: str, source: str, manifest: str | None, label_from: str | None, window_s: float | None,
    stride_s: float | None, include: list[str] | None, exclude: list[str] | None,
    attributes: dict[str, str] | None, time_from_name: str | None, time_zone: str | None, multi_label: bool,
) -> Collection:  # fmt: skip
    windows, globs = Windows.of(window_s, stride_s), Globs.of(include, exclude)
    declared = Declared.of(attributes, time_from_name, time_zone)
    return Collection(name, source, manifest, label_from, windows, globs, declared, multi_label)
