"""Feature store of Parquet parts: many videos each, one row per frame, immutable once written.

    features/feature_set=<id>/part-<random>.parquet

`part_writer.py` has their layout. Complete parts may go to a bucket under the same names, and are read there
by ranges.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from vidpipe.adapters.features.part_reader import PartReader, ends_as_parquet, readable
from vidpipe.adapters.features.part_writer import NUMBER, PartWriter, storage_failed
from vidpipe.records.features import FeatureSpec, SkippedFeatures, StoredFeatures, VideoFeatures

CHECKED = {"page_checksum_verification": True}
"""Source: https://parquet.apache.org/docs/file-format/data-pages/checksumming/."""


class Bucket(Protocol):
    """Interface of object storage for complete parts, by their names below the store's root."""

    def put(self, file: Path, name: str) -> None:
        """Upload a file atomically under a name."""
        ...

    def opened(self, name: str) -> AbstractContextManager[Any]:
        """Context manager of a file object with range reads; errors within are the bucket's."""
        ...

    def ages_s(self) -> Iterator[tuple[str, int, float]]:
        """Name, bytes and age of every object."""
        ...

    def remove(self, name: str) -> None:
        """Delete an object."""
        ...

    def try_out(self) -> str:
        """Write and delete a test object; returns the bucket's address."""
        ...


class FeatureStore:
    """Store of feature sets in a folder or, for complete parts, in a bucket."""

    def __init__(self, root: Path, bucket: Bucket | None = None) -> None:
        self._root, self._bucket = root, bucket

    def folder(self, feature_set_id: str) -> Path:
        """Folder of a feature set's parts."""
        return self._root / f"feature_set={feature_set_id}"

    def new_part(self, spec: FeatureSpec, numerics: str, number: pa.DataType = NUMBER) -> PartWriter:
        """Context manager of a writer of a new part; without `commit` nothing is left behind."""
        try:
            upload = self._bucket.put if self._bucket else None
            return PartWriter(self.folder(spec.feature_set_id), spec, numerics, upload, number)
        except OSError as error:
            raise storage_failed(error, self._root) from error

    def read(self, feature_set_id: str, wanted: Iterable[StoredFeatures]) -> Iterator[VideoFeatures]:
        """Read the features of the wanted videos, part by part, in the order of their rows.

        Raises:
            DamagedFeatures: After all others, of the videos whose part is gone or damaged, or has other rows
                than the ledger says.
            StorageUnreachable: The bucket does not answer.
        """
        by_part: dict[str, list[StoredFeatures]] = defaultdict(list)
        for stored in wanted:
            by_part[stored.part].append(stored)
        skipped = SkippedFeatures()
        for part, videos in sorted(by_part.items()):
            with skipped, self._opened(self.folder(feature_set_id) / part, videos) as opened:
                yield from opened.videos(videos)
        skipped.raise_any()

    def times(self, feature_set_id: str, stored: StoredFeatures) -> npt.NDArray[np.float64]:
        """Read the presentation times of a video's frames in seconds, (T,), without their features.

        Raises:
            DamagedFeatures: Its part is gone or damaged.
        """
        with self._opened(self.folder(feature_set_id) / stored.part, [stored], piecewise=True) as part:
            return part.times(stored)

    def pieces(self, feature_set_id: str, stored: StoredFeatures) -> Iterator[VideoFeatures]:
        """Read a video's features in pieces of at most `PIECE_FRAMES` frames, in constant memory.

        Raises:
            DamagedFeatures: Its part is gone or damaged.
        """
        with self._opened(self.folder(feature_set_id) / stored.part, [stored], piecewise=True) as part:
            yield from part.pieces(stored)

    def rewrite(self, feature_set_id: str, kept: Sequence[StoredFeatures]) -> list[StoredFeatures]:
        """Copy the rows of these videos of one part into a new part; returns their positions there.

        The old part stays until it is swept: the ledger decides when nobody reads it any more.
        """
        if not kept:
            return []
        file = self.folder(feature_set_id) / kept[0].part
        moved: list[StoredFeatures] = []
        with (
            self._opened(file, kept, piecewise=True) as old,
            self.new_part(old.spec, old.numerics, old.number) as part,
        ):
            for stored in sorted(kept, key=lambda s: s.row_offset):
                begin = part.rows
                moved.append(StoredFeatures(stored.video_id, part.name, begin, stored.n_frames))
                for features in old.pieces(stored):
                    part.append(features, part.rows - begin)
            part.commit()
        return moved

    def sweep(self, named: Set[tuple[str, str]], older_than_s: float) -> tuple[int, int]:
        """Delete old parts that are not `named` (feature_set_id, part), and old temporary files."""
        files = size_bytes = 0
        for file, freed_bytes, age_s in self._unnamed(named):
            if age_s >= older_than_s:
                file.unlink()
                files, size_bytes = files + 1, size_bytes + freed_bytes
        for bucket, name, freed_bytes, age_s in self._unnamed_far(named):
            if age_s >= older_than_s:
                bucket.remove(name)
                files, size_bytes = files + 1, size_bytes + freed_bytes
        return files, size_bytes

    def gone(self, named: Set[tuple[str, str]]) -> set[tuple[str, str]]:
        """Parts among those that are `named` whose file is missing or cut off, as (feature_set_id, part).

        Raises:
            StorageUnreachable: The bucket does not answer.
        """
        if self._bucket:
            there = (Path(name) for name, _, _ in self._bucket.ages_s())
        else:
            there = (file for file in self._root.glob("feature_set=*/part-*") if ends_as_parquet(file))
        return set(named) - {_named_as(file) for file in there}

    def try_out(self) -> str | None:
        """Check that parts can be written, by a test file; returns the bucket's address, None for a folder.

        Raises:
            ConfigurationError: It may not be written.
            StorageUnreachable: The bucket does not answer.
        """
        return self._bucket.try_out() if self._bucket else None

    def unnamed_ages_s(self, named: Set[tuple[str, str]]) -> list[float]:
        """Ages of the parts that no ledger row names, which `sweep` deletes once they are old enough."""
        near = [age_s for _, _, age_s in self._unnamed(named)]
        return [*near, *(age_s for _, _, _, age_s in self._unnamed_far(named))]

    def _unnamed(self, named: Set[tuple[str, str]]) -> Iterator[tuple[Path, int, float]]:
        for file in self._root.glob("feature_set=*/part-*"):
            if self._bucket or _named_as(file) not in named:
                with suppress(FileNotFoundError):  # renamed or collected since it was listed
                    found = file.stat()
                    yield file, found.st_size, time.time() - found.st_mtime

    def _unnamed_far(self, named: Set[tuple[str, str]]) -> Iterator[tuple[Bucket, str, int, float]]:
        for name, size_bytes, age_s in self._bucket.ages_s() if self._bucket else ():
            if Path(name).match("feature_set=*/part-*") and _named_as(Path(name)) not in named:
                assert self._bucket
                yield self._bucket, name, size_bytes, age_s

    @contextmanager
    def _opened(
        self, file: Path, wanted: Sequence[StoredFeatures], *, piecewise: bool = False
    ) -> Iterator[PartReader]:
        """Context manager of a reader of a part in the folder or the bucket, for these videos of it.

        Each page's checksum is compared, of parts that have them: a bit that a disk flipped is an error, not
        a feature.
        Piecewise it is read through small buffers: a mapped file's pages would count as ours, all that were
        ever touched.
        """
        with readable(file, wanted), ExitStack() as stack:
            if self._bucket:
                source = stack.enter_context(self._bucket.opened(f"{file.parent.name}/{file.name}"))
                part = pq.ParquetFile(source, pre_buffer=not piecewise, **CHECKED)
            elif piecewise:
                part = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20, **CHECKED)
            else:
                part = pq.ParquetFile(
                    file, pre_buffer=False, **CHECKED
                )  # mapped: half as fast the first time
            yield PartReader(stack.enter_context(part), file)

    def parts(self, feature_set_id: str | None = None) -> list[Path]:
        """List the part files, finished or not, of one feature set or of all."""
        root = self.folder(feature_set_id) if feature_set_id else self._root
        return sorted(p for p in root.glob("**/part-*") if p.is_file()) if root.exists() else []


def _named_as(file: Path) -> tuple[str, str]:
    """A part's key in the ledger: (feature_set_id, part)."""
    return file.parent.name.removeprefix("feature_set="), file.name
