"""New ledgers and MLflow stores for tests: one of a kind is made for real, then copied.

Migrations make both, in 0.3 and 1.4 seconds of CPU. A copy is what they would make again: a ledger depends on
its migrations and views alone, an MLflow store on the address of its artifacts too, which each copy gets.
The two workers and the processes that they fork share what is made. Nor does each new store read anew, in 0.2
seconds, which revision MLflow's migrations end with.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from vidpipe.adapters.database import connection, sqlfiles
from vidpipe.adapters.models import mlflow_store

write_ledger, write_mlflow_store = connection._write_new, mlflow_store._write_new
"""What makes them for real."""
FOLDER = "PYTEST_NEW_STORES"
"""Environment variable that names the folder of what has been made."""


@contextmanager
def copied(folder: Path) -> Iterator[None]:
    """Context manager within which new ledgers and MLflow stores are copies of those in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        patch.dict(os.environ, {FOLDER: str(folder)}),
        patch.object(connection, "_write_new", copy_ledger),
        patch.object(mlflow_store, "_write_new", copy_mlflow_store),
    ):
        yield


def copy_in_this_process() -> None:
    """In a process that `copied` has started: copy as its parent does."""
    connection._write_new, mlflow_store._write_new = copy_ledger, copy_mlflow_store


def copy_ledger(file: Path, wait_s: float) -> None:
    """Write an empty ledger."""
    _copy(f"{sqlfiles.migrations()}{sqlfiles.views_hash()}", file, write_ledger, wait_s)


def copy_mlflow_store(file: Path, artifacts_uri: str) -> None:
    """Write an empty MLflow store."""
    remember_revision()
    _copy("mlflow", file, write_mlflow_store, artifacts_uri)
    with closing(sqlite3.connect(file)) as store:
        store.execute("update experiments set artifact_location = ? || '/' || experiment_id", [artifacts_uri])
        store.commit()


def remember_revision() -> None:
    """Read MLflow's migrations once in this process: each new client asks for the last one."""
    from mlflow.store.db import utils

    if not hasattr(utils._get_latest_schema_revision, "cache_info"):
        utils._get_latest_schema_revision = cache(utils._get_latest_schema_revision)


def _copy(what: str, file: Path, write: Callable[..., None], *arguments: Any) -> None:
    """Write the file as it was written the first time."""
    made = Path(os.environ[FOLDER]) / hashlib.sha256(what.encode()).hexdigest()
    with made_once(made) as is_new:
        if is_new:
            write(file, *arguments)
            made.write_bytes(file.read_bytes())
    file.write_bytes(made.read_bytes())


@contextmanager
def made_once(place: Path) -> Iterator[bool]:
    """Context manager that gives True to the first process, which makes what the others then find there."""
    done = place.with_name(f"{place.name}.done")
    with place.with_name(f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        is_new = not done.exists()
        yield is_new
        done.touch()
