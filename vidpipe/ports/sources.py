"""Ports of video sources: folders, manifests, object storage, and local copies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vidpipe.records.globs import Globs
from vidpipe.records.labels import GivenLabel
from vidpipe.records.videos import Listing, Place, SourceFile, StoredObject

if TYPE_CHECKING:  # torch takes a second to load and numpy 0.1, which `vidpipe status` does not have
    pass


class Catalog(Protocol):
    """Reader of folders and manifests."""

    def list_folder(self, source: Path, *, label_from: str | None = None, globs: Globs = ...) -> Listing: ...
    def list_manifest(
        self, source: Path, manifest: Path, declared: Collection[str] = ()
    ) -> tuple[list[SourceFile], list[str]]: ...
    def pick_videos(
        self, objects: Sequence[SourceFile], *, label_from: str | None = None, globs: Globs = ...
    ) -> Listing: ...
    def pick_named(
        self, source: str, objects: Sequence[SourceFile], manifest: Path, declared: Collection[str] = ()
    ) -> tuple[list[SourceFile], list[str]]: ...
    def write_manifest(
        self, manifest: Path, columns: Sequence[str], rows: Sequence[Sequence[str]], *, overwrite: bool
    ) -> bool: ...
    def read_labels(self, file: Path) -> list[GivenLabel]: ...
    def hash_file(self, file: Path) -> str: ...


class Objects(Protocol):
    """Object storage."""

    def list(self, source: str) -> list[SourceFile]: ...
    def find(self, uri: str) -> StoredObject: ...


class Staging(Protocol):
    """Local copies of videos in object storage."""

    def local(
        self, place: Place, *, has_room: Callable[[], None] = lambda: None
    ) -> AbstractContextManager[Path]: ...
    def drop(self, place: Place) -> None: ...
    def sweep(self, older_than_s: float) -> tuple[int, int]: ...
