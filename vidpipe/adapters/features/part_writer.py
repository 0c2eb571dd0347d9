"""Writer of Parquet parts: rows go to a temporary file that is renamed when it is complete.

    video_id  frame_index  time_s  features
    a3f…      0            0.00    [D halves]  ┐ row group: one video (a long one has several)
    a3f…      1            0.25    …           ┘
    77c…      0            0.04    …

Features are lists of float16, which hold them without loss (see pooling.py), in half the room and half the
time of float32; DuckDB reads them as FLOAT[]. Parts of float32, as they once were written, stay as they are.

`part_reader.py` reads parts; `store.py` knows where they lie.
"""

from __future__ import annotations

import errno
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vidpipe.adapters.atomic import discard, sync
from vidpipe.errors import StorageFailed, StorageUnreachable
from vidpipe.records.features import FeatureSpec, VideoFeatures

TEMP_SUFFIX = ".tmp"
NUMBER = pa.float16()
"""Type of one feature in a new part."""


class PartWriter:
    """Writer of one part: `append` in order, then `commit`; without it no part remains."""

    def __init__(
        self,
        folder: Path,
        spec: FeatureSpec,
        numerics: str,
        upload: Callable[[Path, str], None] | None = None,
        number: pa.DataType = NUMBER,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._upload = upload
        self.name = f"part-{uuid.uuid4().hex}.parquet"
        self.rows = 0
        self.size_bytes = 0
        """Of the whole file, once it is committed."""
        self._final = folder / self.name
        self._temp = folder / (self.name + TEMP_SUFFIX)
        metadata = {"vidpipe.spec": spec.to_json(), "vidpipe.numerics": numerics}
        self._schema = _schema(number, spec.feature_size, metadata)
        self._writer = pq.ParquetWriter(
            self._temp, self._schema, compression="none", use_dictionary=["video_id"],
            write_statistics=["video_id"], write_page_checksum=True,
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
            with suppress(OSError):  # of a disk that is full or read-only, which was said already
                self._writer.close()
            discard(self._temp)

    def append(self, features: VideoFeatures, first_frame: int = 0) -> None:
        """Write the next rows; a long video comes in several calls, with rising `first_frame`."""
        T = len(features.values)
        numbers = self._schema.field("features").type
        flat = pa.array(features.values.astype(numbers.value_type.to_pandas_dtype(), order="C").reshape(-1))
        columns = [
            pa.DictionaryArray.from_arrays(pa.array(np.zeros(T, np.int32)), [features.video_id]),
            pa.array(np.arange(first_frame, first_frame + T, dtype=np.int32)),
            pa.array(features.times_s),
            pa.FixedSizeListArray.from_arrays(flat, type=numbers),
        ]
        try:
            self._writer.write_table(pa.table(columns, schema=self._schema), row_group_size=T)
        except OSError as error:
            raise storage_failed(error, self._temp) from error
        self.rows += T

    def commit(self) -> str | None:
        """Rename the part to its final name and return it; None, and no file, when it has no rows."""
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
            raise storage_failed(error, self._temp) from error
        return self.name

    def _publish(self) -> None:
        """Publish the finished file by a rename or one upload, both atomic."""
        if self._upload:
            self._upload(self._temp, f"{self._final.parent.name}/{self.name}")
            self._temp.unlink()
        else:
            sync(self._temp)
            self._temp.rename(self._final)
            sync(self._final.parent)


def _schema(number: pa.DataType, feature_size: int, metadata: dict[str, str]) -> pa.Schema:
    """Arrow schema of a part, whose features are not nullable: twice as fast to read and write."""
    numbers = pa.list_(pa.field("element", number, nullable=False), feature_size)
    return pa.schema(
        [
            pa.field("video_id", pa.dictionary(pa.int32(), pa.string()), nullable=False),
            pa.field("frame_index", pa.int32(), nullable=False),
            pa.field("time_s", pa.float64(), nullable=False),
            pa.field("features", numbers, nullable=False),
        ],
        metadata=metadata,
    )


def storage_failed(error: OSError, path: Path) -> StorageFailed:
    """`StorageFailed` for a place that cannot be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
    return StorageFailed(
        f"cannot write {path}: {'the disk is full' if full else error}.",
        next_step="free space, then run the same command again: finished parts are kept.",
    )
