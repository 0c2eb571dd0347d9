"""New ledgers and MLflow stores for tests: each worker makes one of a kind for real, then copies it.

Migrations make both, in 0.3 and 1.4 seconds of CPU. A copy is what they would make again: a ledger depends on
its migrations and views alone, an MLflow store on the address of its artifacts too, which each copy gets.
Processes that tests start make their own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from vidpipe.adapters.database import connection, sqlfiles
from vidpipe.adapters.models import mlflow_store

write_ledger, write_mlflow_store = connection._write_new, mlflow_store._write_new
"""What makes them for real."""
_made: dict[object, bytes] = {}
"""Files by what they depend on."""


@contextmanager
def copied() -> Iterator[None]:
    """Context manager within which new ledgers and MLflow stores are copies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "_write_new", copy_ledger)
        patch.setattr(mlflow_store, "_write_new", copy_mlflow_store)
        yield


def copy_ledger(file: Path, wait_s: float) -> None:
    """Write an empty ledger."""
    _copy((tuple(sqlfiles.migrations()), sqlfiles.views_hash()), file, write_ledger, wait_s)


def copy_mlflow_store(file: Path, artifacts_uri: str) -> None:
    """Write an empty MLflow store."""
    _copy("mlflow", file, write_mlflow_store, artifacts_uri)
    with closing(sqlite3.connect(file)) as store:
        store.execute("update experiments set artifact_location = ? || '/' || experiment_id", [artifacts_uri])
        store.commit()


def _copy(key: object, file: Path, write: Callable[..., None], *arguments: Any) -> None:
    """Write the file as it was written the first time."""
    if key in _made:
        file.write_bytes(_made[key])
    else:
        write(file, *arguments)
        _made[key] = file.read_bytes()
