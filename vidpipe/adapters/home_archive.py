"""Backups of a home: a consistent copy while nights run, and its restoration elsewhere.

    DIR/BACKUP.json                 every file with its size and hash
    DIR/state/ledger.duckdb         as between two transactions
    DIR/mlflow/                     the embedded MLflow's database and files, where it is used
    DIR/features/                   the parts that this ledger names: hard links, or copies on another disk
    DIR/models/ backbones/ reports/ labels/ vidpipe.toml

The ledger is copied first, so that everything it names is older than the rest. Parts never change; where one
is gone by the time it is linked, since a video was forgotten, the backup begins anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from vidpipe import __version__
from vidpipe.errors import ConfigurationError, StorageFailed
from vidpipe.records.archive import Archive, ArchivedFile

CONTENTS = "BACKUP.json"
LEDGER, MLFLOW = "state/ledger.duckdb", "mlflow/mlflow.db"
SETTINGS = "vidpipe.toml"
FOLDERS = ("mlflow/artifacts", "models", "backbones", "reports", "labels")
TRIES = 3
"""A forgotten video takes parts away while they are linked."""

Parts = Set[tuple[str, str]]


class HomeArchive:
    """Backup and restoration of one home."""

    def __init__(
        self, home: Path, copy_ledger: Callable[[Path], None], named_parts: Callable[[Path], Parts]
    ) -> None:
        """Prepare.

        Args:
            home: Its folder.
            copy_ledger: Writes a consistent copy of the home's ledger to a file.
            named_parts: The parts that a ledger file names, as (feature_set_id, part).
        """
        self._home = home.absolute()
        self._copy_ledger, self._named_parts = copy_ledger, named_parts

    def save(self, folder: Path, *, list_features: bool = False) -> Archive:
        """Write a backup into a new folder, which appears when it is complete.

        Args:
            folder: Must be empty, or not be there.
            list_features: Name the parts of the features and leave them out.

        Raises:
            ConfigurationError: There is no home, or the folder holds something.
            StorageFailed: The disk is full or read-only.
        """
        if not (self._home / LEDGER).exists():
            raise ConfigurationError(
                f"{self._home} has no ledger to back up.",
                next_step="name the home by --home or VIDPIPE_HOME.",
            )
        if folder.absolute().is_relative_to(self._home):
            raise ConfigurationError(
                f"{folder} is within the home, and would be lost with it.", next_step="name another folder."
            )
        with _appearing(folder) as temp:
            listed = self._write(temp, list_features=list_features)
            made_at = datetime.now(UTC).isoformat(timespec="seconds")
            found = Archive(str(self._home), made_at, __version__, _described(temp), listed)
            (temp / CONTENTS).write_text(json.dumps(asdict(found), indent=1), encoding="utf-8")
        return found

    def _write(self, temp: Path, *, list_features: bool) -> dict[str, int]:
        """Copy everything; returns the bytes of the parts that are only named."""
        for tried in range(1, TRIES + 1):
            (temp / LEDGER).parent.mkdir(parents=True, exist_ok=True)
            self._copy_ledger(temp / LEDGER)
            parts = [_path_of(part) for part in sorted(self._named_parts(temp / LEDGER))]
            try:
                listed = {p: _bytes(self._home / p) for p in parts if list_features or not self._has(p)}
                for path in parts:
                    if path not in listed:
                        _link(self._home / path, temp / path)
                break
            except FileNotFoundError:
                shutil.rmtree(temp / "features", ignore_errors=True)
                if tried == TRIES:
                    raise
        if (self._home / MLFLOW).exists():
            _copy_sqlite(self._home / MLFLOW, temp / MLFLOW)
        if (self._home / SETTINGS).exists():
            shutil.copy2(self._home / SETTINGS, temp)
        for name in FOLDERS:
            if (self._home / name).is_dir():
                shutil.copytree(self._home / name, temp / name, ignore=shutil.ignore_patterns("*.tmp"))
        return listed

    def _has(self, path: str) -> bool:
        """Whether features lie in the home at all, not in another folder or a bucket."""
        return (self._home / path).parent.is_dir()

    def load(self, folder: Path) -> Archive:
        """Make the home from a backup that has been checked; it appears when it is complete.

        Raises:
            ConfigurationError: No backup, a damaged one, or a home that holds something.
            StorageFailed: The disk is full or read-only.
        """
        found = read_archive(folder)
        check(folder, found.files)
        with _appearing(self._home) as temp:
            for path in found.files:
                _link(folder / path, temp / path, copy=not path.startswith("features/"))
            if (temp / MLFLOW).exists():
                _move_addresses(temp / MLFLOW, Path(found.home), self._home)
        return found


# -- reading a backup -------------------------------------------------------------------------------


def read_archive(folder: Path) -> Archive:
    """Read a backup's table of contents.

    Raises:
        ConfigurationError: There is none, or it is not one of ours.
    """
    try:
        said = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
        files = {
            str(path): ArchivedFile(int(one["size_bytes"]), one["sha256"])
            for path, one in said["files"].items()
        }
        if outside := [path for path in files if not _is_inside(path)]:
            raise ValueError(f"{outside[0]!r} leads out of it")
        return Archive(said["home"], said["made_at"], said["vidpipe"], files, said["listed_parts"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{folder} is no backup of a home: {CONTENTS}: {error}.",
            next_step="pass a folder that `vidpipe backup` made.",
        ) from None


def check(folder: Path, files: Mapping[str, ArchivedFile]) -> None:
    """Compare a backup with its table of contents.

    Raises:
        ConfigurationError: A file is missing, or is not what was saved.
    """
    for path, expected in files.items():
        file = folder / path
        got = file.stat().st_size if file.is_file() else None
        if got != expected.size_bytes:
            said = "is missing" if got is None else f"has {got} bytes, expected {expected.size_bytes}"
        elif expected.sha256 and expected.sha256 != _sha256(file):
            said = f"has not the bytes that were saved (SHA-256, expected {expected.sha256[:12]}…)"
        else:
            continue
        raise ConfigurationError(
            f"the backup {folder} is damaged: {path} {said}.", next_step="restore another backup."
        )


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path)
    return not parts.is_absolute() and ".." not in parts.parts


# -- files ------------------------------------------------------------------------------------------


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """Context manager of a temporary folder beside `folder`, which takes its name at the end."""
    temp = folder.absolute().with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigurationError(f"{folder} holds something already.", next_step="name a new folder.")
        temp.mkdir(parents=True)
        yield temp
        if folder.exists():
            folder.rmdir()
        temp.replace(folder)
    except (OSError, sqlite3.Error, shutil.Error) as error:
        raise StorageFailed(
            f"cannot write {folder}: {error}.",
            next_step="free space, or name another folder; nothing was kept.",
        ) from None
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def _path_of(part: tuple[str, str]) -> str:
    feature_set_id, name = part
    return f"features/feature_set={feature_set_id}/{name}"


def _bytes(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _link(source: Path, target: Path, *, copy: bool = False) -> None:
    """Link a file that never changes; copy it where links are not possible."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not copy:
        try:
            target.hardlink_to(source)
            return
        except FileNotFoundError:
            raise
        except OSError:  # another disk, or a file system without links
            pass
    shutil.copy2(source, target)


def _described(folder: Path) -> dict[str, ArchivedFile]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    names = {file.relative_to(folder).as_posix(): file for file in files}
    return {
        name: ArchivedFile(file.stat().st_size, None if name.startswith("features/") else _sha256(file))
        for name, file in names.items()
    }


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# -- the embedded MLflow ----------------------------------------------------------------------------


def _copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database that may be in use. Source: https://www.sqlite.org/backup.html"""
    target.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def _move_addresses(database: Path, old: Path, new: Path) -> None:
    """Let MLflow's database name files below another home: it holds their addresses, absolute."""

    def moved(value: Any) -> Any:
        for before, after in ((old.as_uri(), new.as_uri()), (str(old), str(new))):
            if isinstance(value, str) and (value == before or value.startswith(f"{before}/")):
                return after + value[len(before) :]
        return value

    with closing(sqlite3.connect(database)) as connection, connection:
        connection.create_function("moved", 1, moved, deterministic=True)
        tables = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (table,) in tables:
            for _, column, *_ in connection.execute(f'pragma table_info("{table}")').fetchall():
                change = f'set "{column}" = moved("{column}") where moved("{column}") is not "{column}"'
                connection.execute(f'update "{table}" {change}')
