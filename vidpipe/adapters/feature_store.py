"""Parquet parts: many videos each, one row per frame, immutable once renamed into place.

    features/feature_set=<id>/part-<random>.parquet
        video_id  frame_index  time_s  features
        a3f…      0            0.00    [D floats]  ┐ row group: one video (a long one has several)
        a3f…      1            0.25    …           ┘
        77c…      0            0.04    …

A video's rows lie together, so that reading one video touches no neighbour. Parts are written here; a whole
one may then go to a bucket, under the same name, and is read there by ranges.
"""

from __future__ import annotations

import errno
import json
import os
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vidpipe.errors import IncompatibleFeatures, StorageFailed, StorageUnreachable
from vidpipe.records import FeatureSpec, StoredFeatures, VideoFeatures

TEMP_SUFFIX = ".tmp"


def _schema(feature_size: int, metadata: dict[str, str]) -> pa.Schema:
    """No number of `features` may be null: without that promise they are read and written half as fast."""
    numbers = pa.list_(pa.field("element", pa.float32(), nullable=False), feature_size)
    return pa.schema(
        [
            pa.field("video_id", pa.dictionary(pa.int32(), pa.string()), nullable=False),
            pa.field("frame_index", pa.int32(), nullable=False),
            pa.field("time_s", pa.float64(), nullable=False),
            pa.field("features", numbers, nullable=False),
        ],
        metadata=metadata,
    )


class Bucket(Protocol):
    """Where whole parts lie instead of in the folder, by their names below the store's root."""

    def put(self, file: Path, name: str) -> None:
        """Make a file visible under a name, at once and whole."""
        ...

    def opened(self, name: str) -> AbstractContextManager[Any]:
        """A file object that reads what is asked for and no more; what fails within is the bucket's error."""
        ...

    def ages_s(self) -> Iterator[tuple[str, int, float]]:
        """Name, bytes and age of everything in it."""
        ...

    def remove(self, name: str) -> None:
        """Remove it for good."""
        ...

    def try_out(self) -> str:
        """Write something and remove it; where it was."""
        ...


READ_FRAMES = 512
"""Rows that are read at once, and some: 7 MB, which the next ones use again."""
PIECE_FRAMES = 1024
"""Rows of a piece of a long video: 13 MB."""


class PartWriter:
    """One part in the making: `append` in order, then `commit`; anything else leaves no part."""

    def __init__(self, folder: Path, spec: FeatureSpec, numerics: str, bucket: Bucket | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._bucket = bucket
        self.name = f"part-{uuid.uuid4().hex}.parquet"
        self.rows = 0
        self.size_bytes = 0
        """Of the whole file, once it is committed."""
        self._final = folder / self.name
        self._temp = folder / (self.name + TEMP_SUFFIX)
        self._videos: list[str] = []
        metadata = {"vidpipe.spec": spec.to_json(), "vidpipe.numerics": numerics}
        self._schema = _schema(spec.feature_size, metadata)
        self._writer = pq.ParquetWriter(
            self._temp, self._schema, compression="none", use_dictionary=["video_id"],
            write_statistics=["video_id"],
        )  # fmt: skip

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._temp.exists():
            self._writer.close()
            self._temp.unlink(missing_ok=True)

    def append(self, features: VideoFeatures, first_frame: int = 0) -> None:
        """Write the next rows; a long video comes in several calls, `first_frame` counting on."""
        T = len(features.values)
        flat = pa.array(np.ascontiguousarray(features.values).reshape(-1))
        numbers = self._schema.field("features").type
        columns = [
            pa.DictionaryArray.from_arrays(pa.array(np.zeros(T, np.int32)), [features.video_id]),
            pa.array(np.arange(first_frame, first_frame + T, dtype=np.int32)),
            pa.array(features.times_s),
            pa.FixedSizeListArray.from_arrays(flat, type=numbers),
        ]
        try:
            self._writer.write_table(pa.table(columns, schema=self._schema), row_group_size=T)
        except OSError as error:
            raise _storage_failed(error, self._temp) from error
        self.rows += T

    def commit(self) -> str | None:
        """Make the part visible under its name; None, and no file, when it has no rows."""
        try:
            self._writer.close()
            if self.rows == 0:
                self._temp.unlink()
                return None
            self.size_bytes = self._temp.stat().st_size
            self._publish()
        except StorageUnreachable:
            raise
        except OSError as error:
            raise _storage_failed(error, self._temp) from error
        return self.name

    def _publish(self) -> None:
        """A rename, or one upload: neither shows half a part."""
        if self._bucket:
            self._bucket.put(self._temp, f"{self._final.parent.name}/{self.name}")
            self._temp.unlink()
        else:
            _sync(self._temp)
            self._temp.rename(self._final)
            _sync(self._final.parent)


class FeatureStore:
    """The folder of feature sets; with a bucket, whole parts lie there and unfinished ones here."""

    def __init__(self, root: Path, bucket: Bucket | None = None) -> None:
        self._root, self._bucket = root, bucket

    def folder(self, feature_set_id: str) -> Path:
        """Where a feature set's parts lie."""
        return self._root / f"feature_set={feature_set_id}"

    def new_part(self, spec: FeatureSpec, numerics: str) -> PartWriter:
        """A context manager; leaving it without `commit` leaves nothing behind."""
        try:
            return PartWriter(self.folder(spec.feature_set_id), spec, numerics, self._bucket)
        except OSError as error:
            raise _storage_failed(error, self._root) from error

    def read(self, feature_set_id: str, wanted: Iterable[StoredFeatures]) -> Iterator[VideoFeatures]:
        """The features of the wanted videos, part by part, in the order of their rows.

        Raises:
            IncompatibleFeatures: A part is gone, or its rows are not those that the ledger names.
            StorageUnreachable: The bucket does not answer.
        """
        by_part: dict[str, list[StoredFeatures]] = defaultdict(list)
        for stored in wanted:
            by_part[stored.part].append(stored)
        for part, videos in sorted(by_part.items()):
            file = self.folder(feature_set_id) / part
            with self._opened(file) as opened:
                yield from _read_part(opened, file, videos)

    def times(self, feature_set_id: str, stored: StoredFeatures) -> npt.NDArray[np.float64]:
        """Presentation times of a video's frames in seconds, (T,), without their features.

        Raises:
            IncompatibleFeatures: As in `read`.
        """
        file = self.folder(feature_set_id) / stored.part
        with self._opened(file, piecewise=True) as part:
            table = part.read_row_groups(_row_groups(part, stored, file), columns=["video_id", "time_s"])
        _check_rows(table["video_id"], [stored], file)
        found: npt.NDArray[np.float64] = table["time_s"].to_numpy()
        return found

    def pieces(self, feature_set_id: str, stored: StoredFeatures) -> Iterator[VideoFeatures]:
        """A video's features, at most `PIECE_FRAMES` frames at a time: however long it is, memory stays flat.

        Raises:
            IncompatibleFeatures: As in `read`.
        """
        file = self.folder(feature_set_id) / stored.part
        with self._opened(file, piecewise=True) as part:
            yield from _pieces(part, stored, file)

    def rewrite(self, feature_set_id: str, kept: Sequence[StoredFeatures]) -> list[StoredFeatures]:
        """Copy the rows of these videos of one part into a new part; where they lie there.

        The old part stays until it is swept: the ledger decides when nobody reads it any more.
        """
        if not kept:
            return []
        file = self.folder(feature_set_id) / kept[0].part
        with self._opened(file) as opened:
            metadata = _own_metadata(opened.schema_arrow)
        spec = FeatureSpec.from_json(metadata["vidpipe.spec"])
        moved: list[StoredFeatures] = []
        with (
            self._opened(file, piecewise=True) as old,
            self.new_part(spec, metadata["vidpipe.numerics"]) as part,
        ):
            for stored in sorted(kept, key=lambda s: s.row_offset):
                begin = part.rows
                moved.append(StoredFeatures(stored.video_id, part.name, begin, stored.n_frames))
                for features in _pieces(old, stored, file):
                    part.append(features, part.rows - begin)
            part.commit()
        return moved

    def sweep(self, named: Set[tuple[str, str]], older_than_s: float) -> tuple[int, int]:
        """Remove parts that are not `named` (feature_set_id, part), and temporary ones: (files, bytes)."""
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

    def try_out(self) -> str | None:
        """Write something where whole parts lie and remove it: the bucket's address; None for a folder.

        Raises:
            ConfigurationError: It may not be written.
            StorageUnreachable: The bucket does not answer.
        """
        return self._bucket.try_out() if self._bucket else None

    def unnamed_ages_s(self, named: Set[tuple[str, str]]) -> list[float]:
        """Ages of the parts that `sweep` would remove once they are old enough."""
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
    def _opened(self, file: Path, *, piecewise: bool = False) -> Iterator[pq.ParquetFile]:
        """A part, wherever it lies.

        Piecewise it is read through small buffers: a mapped file's pages would count as ours, all that were
        ever touched.
        """
        with _unreadable_part(file), ExitStack() as stack:
            if self._bucket:
                source = stack.enter_context(self._bucket.opened(f"{file.parent.name}/{file.name}"))
                part = pq.ParquetFile(source, pre_buffer=not piecewise)
            elif piecewise:
                part = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
            else:
                part = pq.ParquetFile(file, pre_buffer=False)  # mapped: half as fast the first time
            yield stack.enter_context(part)

    def parts(self, feature_set_id: str | None = None) -> list[Path]:
        """All files below the store, finished or not, of one feature set or of all."""
        root = self.folder(feature_set_id) if feature_set_id else self._root
        return sorted(p for p in root.glob("**/part-*") if p.is_file()) if root.exists() else []


def _named_as(file: Path) -> tuple[str, str]:
    """As the ledger names a part: (feature_set_id, part)."""
    return file.parent.name.removeprefix("feature_set="), file.name


def _read_part(part: pq.ParquetFile, file: Path, videos: list[StoredFeatures]) -> Iterator[VideoFeatures]:
    sizes = [part.metadata.row_group(i).num_rows for i in range(part.num_row_groups)]
    group_at = {row: i for i, row in enumerate(np.cumsum([0, *sizes]).tolist())}
    for run in _runs(videos):
        begin, end = run[0].row_offset, run[-1].row_offset + run[-1].n_frames
        if begin not in group_at or end not in group_at:
            raise _other_rows(file, run[0], "no such rows")
        yield from _videos(
            part.read_row_groups(list(range(group_at[begin], group_at[end])), use_threads=False), run, file
        )


def _row_groups(part: pq.ParquetFile, stored: StoredFeatures, file: Path) -> list[int]:
    """The row groups of a video: it has them for itself."""
    sizes = [part.metadata.row_group(i).num_rows for i in range(part.num_row_groups)]
    group_at = {row: i for i, row in enumerate(np.cumsum([0, *sizes]).tolist())}
    begin, end = stored.row_offset, stored.row_offset + stored.n_frames
    if begin not in group_at or end not in group_at:
        raise _other_rows(file, stored, "no such rows")
    return list(range(group_at[begin], group_at[end]))


def _pieces(part: pq.ParquetFile, stored: StoredFeatures, file: Path) -> Iterator[VideoFeatures]:
    batches = part.iter_batches(PIECE_FRAMES, row_groups=_row_groups(part, stored, file))
    while True:
        with _unreadable_part(file):
            batch = next(batches, None)
        if batch is None:
            return
        piece = replace(stored, n_frames=batch.num_rows)  # their sum is right: the row groups' are
        yield from _videos(pa.Table.from_batches([batch]), [piece], file)


def _runs(videos: list[StoredFeatures]) -> Iterator[list[StoredFeatures]]:
    """Videos that lie one behind the other are read at once: three times as fast as one by one."""
    run: list[StoredFeatures] = []
    frames = 0
    for video in sorted(videos, key=lambda v: v.row_offset):
        gap = bool(run) and video.row_offset != run[-1].row_offset + run[-1].n_frames
        if gap or frames > READ_FRAMES:
            yield run
            run, frames = [], 0
        run.append(video)
        frames += video.n_frames
    if run:
        yield run


@contextmanager
def _unreadable_part(file: Path) -> Iterator[None]:
    try:
        yield
    except StorageUnreachable:
        raise
    except (OSError, pa.ArrowInvalid) as error:
        raise IncompatibleFeatures(
            f"the feature part {file} cannot be read: {error}.",
            next_step="restore that file from a backup of the home.",
        ) from None


def _videos(table: pa.Table, run: Sequence[StoredFeatures], file: Path) -> Iterator[VideoFeatures]:
    """The videos of a run, as views of its rows."""
    _check_rows(table["video_id"], run, file)
    features = table["features"].combine_chunks()
    times_s, values = table["time_s"].to_numpy(), features.flatten().to_numpy()
    values = values.reshape(-1, features.type.list_size)
    begin = 0
    for stored in run:
        rows = slice(begin, begin := begin + stored.n_frames)
        yield VideoFeatures(stored.video_id, times_s[rows], values[rows])


def _check_rows(video_ids: pa.ChunkedArray, run: Sequence[StoredFeatures], file: Path) -> None:
    """Rows must be those that the ledger names: a run's videos, one behind the other."""
    found = pc.run_end_encode(video_ids.cast(pa.string()).combine_chunks())
    n_frames = np.diff(found.run_ends.to_numpy(), prepend=0).tolist()
    for stored, n, video_id in zip_longest(run, n_frames, found.values.to_pylist()):
        if stored is None or (n, video_id) != (stored.n_frames, stored.video_id):
            raise _other_rows(file, stored or run[-1], f"{n or 0} rows of {(video_id or 'no video')[:12]}")


def _other_rows(file: Path, stored: StoredFeatures, found: str) -> IncompatibleFeatures:
    return IncompatibleFeatures(
        f"{file} at row {stored.row_offset}: {found}, expected {stored.n_frames} rows of "
        f"{stored.video_id[:12]}.",
        next_step="restore that file from a backup of the home.",
    )


def part_metadata(file: Path) -> dict[str, str]:
    """The spec and numerics class that a part carries."""
    return _own_metadata(pq.read_schema(file))


def _own_metadata(schema: pa.Schema) -> dict[str, str]:
    found = {k.decode(): v.decode() for k, v in (schema.metadata or {}).items()}
    return {k: v for k, v in found.items() if k.startswith("vidpipe.")}


def part_spec(file: Path) -> FeatureSpec:
    """The spec by which a part was made."""
    return FeatureSpec.from_json(json.dumps(json.loads(part_metadata(file)["vidpipe.spec"])))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _storage_failed(error: OSError, path: Path) -> StorageFailed:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
    return StorageFailed(
        f"cannot write {path}: {'the disk is full' if full else error}.",
        next_step="free space, then run the same command again: finished parts are kept.",
    )
