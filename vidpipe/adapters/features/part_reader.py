"""Reader of Parquet parts: features of videos by row offset, checked against the ledger."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vidpipe.errors import DamagedFeatures, StorageUnreachable
from vidpipe.records.features import FeatureSpec, SkippedFeatures, StoredFeatures, VideoFeatures
from vidpipe.records.videos import Floats

warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nor does anyone write it

MAGIC = b"PAR1"
RESTORE = "restore that file from a backup of the home, or delete it: the next night reads its videos again."
READ_FRAMES = 512
"""Rows that are read at once, and some: 3 MB, and 7 MB as float32, which the next ones use again."""
PIECE_FRAMES = 1024
"""Rows of a piece of a long video: 13 MB."""


class PartReader:
    """Reader of one open Parquet part.

    Methods raise DamagedFeatures where its rows cannot be read, or are not those that are asked for.
    """

    def __init__(self, part: pq.ParquetFile, file: Path) -> None:
        """Check the columns: Parquet has no checksum over its own schema.

        Raises:
            ArrowInvalid: They are not those of features.
        """
        self._part, self._file = part, file
        found = dict(zip(part.schema_arrow.names, part.schema_arrow.types, strict=True))
        features = found.get("features", pa.null())
        if not (
            pa.types.is_fixed_size_list(features)
            and features.value_type in (pa.float16(), pa.float32())
            and found.get("time_s") == pa.float64()
            and "video_id" in found
        ):
            raise pa.ArrowInvalid(f"its columns are {found}, not those of features")

    @property
    def spec(self) -> FeatureSpec:
        """The feature spec of the part."""
        return FeatureSpec.from_json(self._said("spec"))

    @property
    def numerics(self) -> str:
        """The numerics class that computed the part."""
        return self._said("numerics")

    @property
    def number(self) -> pa.DataType:
        """Arrow type of one feature: float16, or float32 in older parts."""
        return self._part.schema_arrow.field("features").type.value_type

    def videos(self, wanted: Sequence[StoredFeatures]) -> Iterator[VideoFeatures]:
        """Read the features of these videos, in the order of their rows; raises after the last of them."""
        skipped = SkippedFeatures()
        for run in _runs(wanted):
            try:
                found = self._run(run)
            except DamagedFeatures:  # one by one: of the others no feature is lost
                found = []
                for stored in run:
                    with skipped:
                        found += self._run([stored])
            yield from found
        skipped.raise_any()

    def _run(self, run: Sequence[StoredFeatures]) -> list[VideoFeatures]:
        """Features of consecutive videos, read at once."""
        with readable(self._file, run):
            table = self._part.read_row_groups(self._row_groups(run), use_threads=False)
        return list(_videos(table, run, self._file))

    def times(self, stored: StoredFeatures) -> npt.NDArray[np.float64]:
        """Read the presentation times of a video's frames in seconds, (T,)."""
        with readable(self._file, [stored]):
            table = self._part.read_row_groups(self._row_groups([stored]), columns=["video_id", "time_s"])
        _check_rows(table["video_id"], [stored], self._file)
        found: npt.NDArray[np.float64] = table["time_s"].to_numpy()
        return found

    def pieces(self, stored: StoredFeatures) -> Iterator[VideoFeatures]:
        """Read a video's features in pieces of at most `PIECE_FRAMES` frames."""
        batches = self._part.iter_batches(PIECE_FRAMES, row_groups=self._row_groups([stored]))
        while True:
            with readable(self._file, [stored]):
                batch = next(batches, None)
            if batch is None:
                return
            piece = replace(stored, n_frames=batch.num_rows)  # their sum is right: the row groups' are
            yield from _videos(pa.Table.from_batches([batch]), [piece], self._file)

    def _said(self, name: str) -> str:
        """A value of the part's file metadata."""
        said: bytes = self._part.schema_arrow.metadata[f"vidpipe.{name}".encode()]
        return said.decode()

    @cached_property
    def _group_at(self) -> dict[int, int]:
        """First row of each row group, mapped to its number; the end of the file to their count."""
        sizes = [self._part.metadata.row_group(i).num_rows for i in range(self._part.num_row_groups)]
        return {row: i for i, row in enumerate(np.cumsum([0, *sizes]).tolist())}

    def _row_groups(self, run: Sequence[StoredFeatures]) -> list[int]:
        """Row groups of consecutive videos; no other video shares them."""
        begin, end = run[0].row_offset, run[-1].row_offset + run[-1].n_frames
        if begin not in self._group_at or end not in self._group_at:
            raise _other_rows(self._file, run[0], "no such rows")
        return list(range(self._group_at[begin], self._group_at[end]))


def ends_as_parquet(file: Path) -> bool:
    """Whether a file ends as Parquet does; one that may not be read counts as such.

    A power cut or a full disk can leave a file empty, or without its end, under its final name.
    Source: https://parquet.apache.org/docs/file-format/, "PAR1".
    """
    try:
        with file.open("rb") as stream:
            stream.seek(-len(MAGIC), os.SEEK_END)
            return stream.read() == MAGIC
    except FileNotFoundError:
        return False
    except OSError as error:
        return error.errno != errno.EINVAL  # shorter than the magic number


@contextmanager
def readable(file: Path, wanted: Sequence[StoredFeatures]) -> Iterator[None]:
    """Context manager that turns read errors into DamagedFeatures of these videos, with the part's name.

    An error without a number is Parquet's own: the bytes are there, and wrong.

    Raises:
        DamagedFeatures: The file is gone or damaged.
    """
    try:
        yield
    except (StorageUnreachable, DamagedFeatures):
        raise
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        ids = [stored.video_id for stored in wanted]
        is_damaged = not isinstance(error, OSError) or error.errno is None
        raise DamagedFeatures(
            f"the feature part {file} cannot be read: {error}.",
            ids,
            ids if is_damaged else (),
            next_step=RESTORE,
        ) from None


def _runs(videos: Sequence[StoredFeatures]) -> Iterator[list[StoredFeatures]]:
    """Runs of consecutive videos, read at once: three times as fast as one by one."""
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


def _videos(table: pa.Table, run: Sequence[StoredFeatures], file: Path) -> Iterator[VideoFeatures]:
    """Split a run's rows into its videos, as views."""
    _check_rows(table["video_id"], run, file)
    features = table["features"].combine_chunks()
    times_s, values = table["time_s"].to_numpy(), _in_float32(features.flatten().to_numpy())
    values = values.reshape(-1, features.type.list_size)
    begin = 0
    for stored in run:
        rows = slice(begin, begin := begin + stored.n_frames)
        yield VideoFeatures(stored.video_id, times_s[rows], values[rows])


def _in_float32(values: npt.NDArray[np.floating[Any]]) -> Floats:
    """Convert to float32 by PyTorch, 20 times as fast as NumPy's `astype`; imported only where needed."""
    if values.dtype == np.float32:
        return values
    import torch

    converted: Floats = torch.from_numpy(values).float().numpy()
    return converted


def _check_rows(video_ids: pa.ChunkedArray, run: Sequence[StoredFeatures], file: Path) -> None:
    """Check that the rows are those of the ledger: the run's videos, one after the other."""
    found = pc.run_end_encode(video_ids.cast(pa.string()).combine_chunks())
    n_frames = np.diff(found.run_ends.to_numpy(), prepend=0).tolist()
    for stored, n, video_id in zip_longest(run, n_frames, found.values.to_pylist()):
        if stored is None or (n, video_id) != (stored.n_frames, stored.video_id):
            raise _other_rows(file, stored or run[-1], f"{n or 0} rows of {(video_id or 'no video')[:12]}")


def _other_rows(file: Path, stored: StoredFeatures, found: str) -> DamagedFeatures:
    return DamagedFeatures(
        f"{file} at row {stored.row_offset}: {found}, expected {stored.n_frames} rows of "
        f"{stored.video_id[:12]}.",
        [stored.video_id], [stored.video_id], next_step=RESTORE,
    )  # fmt: skip
