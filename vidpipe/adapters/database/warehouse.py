"""Published snapshot for readers: a read-only copy of the ledger, replaced atomically.

It is a copy of the checkpointed ledger, renamed into place. A reader that has the old one open keeps reading
the old one; a new reader opens the new one; none waits.

Root may open it for writing all the same. Two things keep such a session from harming others: beside
the snapshot `warehouse.duckdb.wal` is a link to /dev/null, so that its commits fail (readers find an
empty log), and `query` renames a fresh copy into place when it finds the snapshot locked.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from vidpipe.adapters.atomic import sync
from vidpipe.adapters.database import sqlfiles
from vidpipe.adapters.database.attribute_views import create_attribute_views
from vidpipe.adapters.database.connection import STORAGE_VERSION
from vidpipe.adapters.database.exports import RelationWriter, write_parquet
from vidpipe.adapters.database.session import columns_of, dicts
from vidpipe.adapters.database.views import materialise
from vidpipe.errors import ConfigurationError, NotFound, StorageFailed
from vidpipe.ports.outcome import NamedQuery

log = logging.getLogger(__name__)

_Option = str | bool | int | float | list[str]
_CLOSED: dict[str, _Option] = {"enable_external_access": False}
"""Source: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview."""
_MODEST: dict[str, _Option] = {"memory_limit": "512MB", "threads": 2}
"""Beyond that DuckDB spills to disk. A million videos take half of it; a fifth does, in twice the time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A query's result."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


class Warehouse:
    """`warehouse.duckdb` of one home."""

    def __init__(
        self, file: Path, ledger_file: Path, exclusive: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """Prepare; `exclusive` keeps every process off the ledger file while it is copied."""
        self.file = file
        self._ledger_file = ledger_file
        self._exclusive = exclusive

    def publish(self) -> None:
        """Replace the snapshot by the ledger's present state, in one rename.

        Raises:
            StorageFailed: No space, or no permission; the former snapshot stays.
        """
        try:
            with self._exclusive():
                duckdb.connect(str(self._ledger_file)).close()  # replays and folds in a leftover .wal
                self._replace_by(self._ledger_file, compute=True)  # exclusive: no older one after a newer one
        except (OSError, duckdb.Error) as error:
            raise StorageFailed(
                f"cannot publish {self.file}: {error}.",
                next_step="free space; the next run publishes what this one has stored.",
            ) from error

    def _replace_by(self, source: Path, *, compute: bool = False) -> None:
        """Replace the snapshot atomically by a copy of `source`.

        Args:
            source: The ledger, or a snapshot.
            compute: Turn what most views begin with into tables: nobody writes the copy any more.
        """
        aside = self.file.with_name(f".{self.file.name}.{os.getpid()}.tmp")
        try:
            aside.mkdir(exist_ok=True)  # DuckDB's log and what it spills to disk stay in there
            copy = aside / self.file.name
            shutil.copyfile(source, copy)
            if compute:
                _compute(copy)
            sync(copy)
            copy.chmod(0o444)
            self._bar_the_log()
            copy.replace(self.file)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _bar_the_log(self) -> None:
        """Block the write-ahead log beside the snapshot, since a stray one breaks every reader."""
        wal = self.file.with_name(f"{self.file.name}.wal")
        if wal.is_symlink():
            return
        if wal.exists() and wal.stat().st_size:
            aside = wal.with_name(f"{wal.name}.set-aside")
            log.warning(
                "%s belongs to somebody (uid %s) who opened the warehouse for writing; moved to %s. "
                "Open it with read_only.", wal, wal.stat().st_uid, aside.name,
            )  # fmt: skip
            wal.replace(aside)
        wal.unlink(missing_ok=True)
        with suppress(OSError):  # a file system without links
            wal.symlink_to(os.devnull)

    def sweep(self, older_than_s: float) -> tuple[int, int]:
        """Remove unfinished snapshots: (files, bytes)."""
        files = size_bytes = 0
        for aside in self.file.parent.glob(f".{self.file.name}.*.tmp"):
            if time.time() - aside.stat().st_mtime >= older_than_s:
                left = [file.stat().st_size for file in aside.rglob("*") if file.is_file()]
                shutil.rmtree(aside)
                files, size_bytes = files + len(left), size_bytes + sum(left)
        return files, size_bytes

    def query(self, sql: str) -> Answer:
        """Run one query, read-only and without access to any other file.

        Raises:
            NotFound: Nothing has been published yet.
            ConfigurationError: The query is wrong; DuckDB's words say how.
        """
        self._refuse_unborn()
        try:
            with self._connect() as connection:
                cursor = connection.execute(sql)
                return Answer(columns_of(cursor), cursor.fetchall())
        except duckdb.Error as error:
            raise ConfigurationError(str(error), next_step="vidpipe sql 'show tables'") from None

    @contextmanager
    def reading(self) -> Iterator[NamedQuery]:
        """Context manager of named statements on one snapshot, consistent whatever is published meanwhile.

        Raises:
            NotFound: Nothing has been published yet.
        """
        self._refuse_unborn()
        with self._connect() as connection:

            def read(name: str, /, **parameters: Any) -> list[dict[str, Any]]:
                return dicts(connection.execute(sqlfiles.statement(name), parameters))

            yield read

    def export(
        self, folder: Path, relations: Sequence[str] | None = None, write: RelationWriter = write_parquet
    ) -> list[dict[str, Any]]:
        """Export public relations of one snapshot, each written atomically.

        Args:
            folder: Made if need be; files of those names in it are replaced, others left alone.
            relations: Some of them; default: all.
            write: Writes one of them, as `<relation>.parquet` or otherwise.

        Raises:
            NotFound: Nothing has been published yet, or no relation has such a name.
            StorageFailed: The folder cannot be written.
        """
        self._refuse_unborn()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._connect({}) as connection:
                rows = connection.execute(sqlfiles.statement("public_relations")).fetchall()
                known = [name for (name,) in rows]
                if unknown := sorted(set(relations or ()) - set(known)):
                    raise NotFound(
                        f"no relation {unknown[0]!r}; there are {', '.join(known)}.",
                        next_step="vidpipe sql 'show tables'",
                    )
                return [write(connection, name, folder) for name in relations or known]
        except (OSError, duckdb.IOException) as error:
            raise StorageFailed(
                f"cannot write to {folder}: {error}.",
                next_step="pass a folder that may be written, with space.",
            ) from error

    def _refuse_unborn(self) -> None:
        if not self.file.exists():
            raise NotFound(
                f"{self.file} does not exist yet.",
                next_step="vidpipe ingest SOURCE --collection NAME",
            )

    def _connect(self, config: dict[str, _Option] = _CLOSED) -> duckdb.DuckDBPyConnection:
        """Connect read-only; a snapshot that is open for writing elsewhere is replaced by a fresh copy."""
        try:
            return duckdb.connect(str(self.file), read_only=True, config=config)
        except duckdb.IOException as error:
            if "lock" not in str(error).lower():
                raise
            log.warning(
                "somebody has opened %s for writing, which locks readers out. Use read_only.", self.file
            )
            with suppress(OSError), self._exclusive():
                self._replace_by(self.file)
        return duckdb.connect(str(self.file), read_only=True, config=config)


def _compute(copy: Path) -> None:
    """Materialise the relations that most views begin with.

    Measured with 10 million predictions: 0.8 s, and views take a third of the time.
    """
    config = {"storage_compatibility_version": STORAGE_VERSION, **_MODEST}
    with duckdb.connect(str(copy), config=config) as connection:
        connection.begin()
        materialise(connection)
        create_attribute_views(connection)
        connection.commit()
