"""DuckDB connection shared by processes in turns: file locking, transactions, creation and migrations.

One process at a time has the file open, for one short transaction: a lock file makes the others wait instead
of failing. Between its transactions a process keeps DuckDB without a file, and attaches the file to it.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import os
import shutil
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from vidpipe.adapters.atomic import delete_old, replacing, sweep_unfinished, sync
from vidpipe.adapters.database import sqlfiles
from vidpipe.adapters.database.session import Session, now_utc
from vidpipe.adapters.database.views import create_views
from vidpipe.errors import LedgerLocked, SchemaMismatch, StorageFailed

T = TypeVar("T")

STORAGE_VERSION = "v1.5.0"
"""DuckDB 1.5 and newer open the files, and so do the tools that people have today."""
_ATTACHED = "ledger"
_POLL_S = 0.02
MUCH_FREE = 0.25
"""Share of the file: the rewriting of a smaller one is not worth its while."""
LEAST_FREE_BYTES = 64 << 20


_OPEN: weakref.WeakSet[Database] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Stop every started DuckDB before Python ends: one that outlives it complains of leaks on stderr."""
    for database in list(_OPEN):
        database.stop()


class Database:
    """A DuckDB file; `session` is one transaction.

    All methods raise `LedgerLocked` when another process keeps the file for longer than `wait_s`, and
    `StorageFailed` when the disk is full or read-only.
    """

    def __init__(self, file: Path, *, wait_s: float = 60.0) -> None:
        self.file = file
        self._wait_s = wait_s
        self._engine: duckdb.DuckDBPyConnection | None = None
        _OPEN.add(self)

    def stop(self) -> None:
        """Stop the started DuckDB, if there is one; the next transaction starts another."""
        engine, self._engine = self._engine, None
        if engine:
            engine.close()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Context manager that keeps every process off the ledger, after creating and migrating it."""
        with _waiting_lock(self.file.parent / "ledger.lock", self._wait_s):
            if not self.file.exists():
                self._create()
            yield

    def copy_to(self, target: Path) -> None:
        """Copy the file as it stands between two transactions."""
        with self.exclusive(), _storage_errors(self.file):
            _connect(self.file, self._wait_s).close()  # replays and folds in a leftover .wal
            shutil.copyfile(self.file, target)

    def compact(self) -> int:
        """Rewrite the file without its free blocks, where they are much of it; returns the bytes freed.

        DuckDB uses the blocks of deleted rows again, and gives only those at the end back to the disk.
        What a kill left of an earlier rewriting goes first.
        Source: https://duckdb.org/docs/stable/operations_manual/footprint_of_duckdb/reclaiming_space
        """
        with self.exclusive(), _storage_errors(self.file):
            sweep_unfinished(self.file, 0)  # nobody else rewrites it: we are exclusive
            connection = _connect(self.file, self._wait_s)
            try:
                connection.execute("checkpoint")
                ((blocks, free, block_bytes),) = Session(connection).rows("file_blocks")
                if free < MUCH_FREE * blocks or free * block_bytes < LEAST_FREE_BYTES:
                    return 0
                before = self.file.stat().st_size
                with replacing(self.file) as temp:
                    _copy_database(connection, temp)
                    connection.close()
                    sync(temp)
                return before - self.file.stat().st_size
            finally:
                connection.close()

    def sweep(self, older_than_s: float) -> tuple[int, int]:
        """Delete what killed processes spilled to disk: (files, bytes); one that ends does so itself."""
        with self.exclusive(), _storage_errors(self.file):
            return delete_old(_spill_folder(self.file).glob("*"), older_than_s)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Context manager of one transaction, committed unless the block fails."""
        with self.exclusive(), _storage_errors(self.file), self._attached() as connection:
            self._migrate(connection)
            connection.begin()
            yield Session(connection)
            connection.commit()

    @contextmanager
    def _attached(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Connection whose default database is the file, open no longer than the block.

        The file is attached to a started DuckDB, which stays: to start it takes 11 ms, four times as long as
        to open the file. A block that fails leaves none: after a fatal error DuckDB refuses all further work.
        """
        engine, self._engine = self._engine or _start_engine(self.file), None
        connection = engine.cursor()
        try:
            _patiently(lambda: _attach(connection, self.file), self.file, self._wait_s)
            yield connection
            with suppress(duckdb.Error):  # on a full disk: what was committed stays in the .wal
                connection.execute("use memory")
                connection.execute(f"detach {_ATTACHED}")
                self._engine = engine
        finally:
            connection.close()  # an open transaction is rolled back
            if self._engine is None:
                engine.close()  # and with it the file

    @contextmanager
    def read_only(self, *, wait_s: float = 1.0) -> Iterator[Session | None]:
        """Context manager of a read-only session that creates and migrates nothing; None without a ledger."""
        if not self.file.exists():
            yield None
            return
        with _waiting_lock(self.file.parent / "ledger.lock", wait_s), _storage_errors(self.file):
            connection = duckdb.connect(str(self.file), read_only=True)
            try:
                yield Session(connection)
            finally:
                connection.close()

    @contextmanager
    def looking(self) -> Iterator[Session]:
        """Context manager of a reading transaction, also for a user who may not write the file."""
        may_write = not self.file.exists() or os.access(self.file, os.W_OK, effective_ids=True)
        with self.session() if may_write else self.read_only(wait_s=self._wait_s) as session:
            assert session is not None
            yield session

    def _create(self) -> None:
        """Create the file under a temporary name and rename it."""
        temp = self.file.with_suffix(".new")
        with _storage_errors(self.file):
            for leftover in (temp, Path(f"{temp}.wal")):
                leftover.unlink(missing_ok=True)
            _write_new(temp, self._wait_s)
            temp.rename(self.file)

    def _migrate(self, connection: duckdb.DuckDBPyConnection) -> None:
        session = Session(connection)
        found = int(session.rows("migration_latest")[0][0])
        latest = sqlfiles.migrations()[-1][0]
        if found > latest:
            raise SchemaMismatch(
                f"{self.file} has schema {found}, this vidpipe knows up to {latest}.",
                next_step="use the newer vidpipe that wrote it.",
            )
        if found < latest:
            connection.execute("checkpoint")
            shutil.copyfile(self.file, self.file.with_name(f"ledger-before-{latest}.duckdb"))
        if found < latest or session.rows("views_hash") != [(sqlfiles.views_hash(),)]:
            _apply_migrations(connection, found)


def _write_new(file: Path, wait_s: float) -> None:
    """Write an empty database of the latest schema."""
    connection = _connect(file, wait_s)
    _apply_migrations(connection, 0)
    connection.close()


def _copy_database(connection: duckdb.DuckDBPyConnection, target: Path) -> None:
    """Copy all of a database into a new file, in modest memory."""
    quoted = str(target).replace("'", "''")
    name = connection.execute("select current_database()").fetchall()[0][0]
    connection.execute("set memory_limit = '512MB'")
    connection.execute(f"attach '{quoted}' as compacted (storage_version '{STORAGE_VERSION}')")
    connection.execute(f'copy from database "{name}" to compacted')
    connection.execute("checkpoint compacted")
    connection.execute("detach compacted")


@contextmanager
def _waiting_lock(file: Path, wait_s: float) -> Iterator[None]:
    with _storage_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _lock_file(file)
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


def _lock_file(file: Path) -> int:
    """Open the lock file, read-only where the user may not write it."""
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EROFS) or not file.exists():
            raise
        return os.open(file, os.O_RDONLY | os.O_CLOEXEC)


def _connect(file: Path, wait_s: float) -> duckdb.DuckDBPyConnection:
    """Open for writing, waiting for other programs that have the file open."""
    config: dict[str, Any] = {"storage_compatibility_version": STORAGE_VERSION}
    return _patiently(lambda: duckdb.connect(str(file), config=config), file, wait_s)


def _start_engine(file: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB without a file, which spills to disk where it would if it had opened this one.

    A new file gets the storage version of the configuration, one that exists keeps its own, be it newer.
    """
    config: dict[str, Any] = {
        "storage_compatibility_version": STORAGE_VERSION,
        "temp_directory": str(_spill_folder(file)),
    }
    return duckdb.connect(config=config)


def _spill_folder(file: Path) -> Path:
    return Path(f"{file}.tmp")


def _attach(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Open the file for writing and make it the connection's default database."""
    quoted = str(file).replace("'", "''")
    connection.execute(f"attach '{quoted}' as {_ATTACHED}")
    connection.execute(f"use {_ATTACHED}")


def _patiently(opening: Callable[[], T], file: Path, wait_s: float) -> T:
    """The result of opening the file, once no other program has it open."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return opening()
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
    """Apply missing migrations, with a record of each, and the views, in one transaction."""
    session = Session(connection)
    connection.begin()
    for version, name, text in sqlfiles.migrations():
        if version > found:
            connection.execute(text)
            session.run("migration_record", version=version, name=name, now=now_utc())
    create_views(connection)
    session.run("views_record", views_hash=sqlfiles.views_hash())
    connection.commit()
