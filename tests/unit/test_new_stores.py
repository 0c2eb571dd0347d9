"""The copies that tests begin with are what would be made anew."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import new_stores
import pytest

from vidpipe.adapters.database import sqlfiles
from vidpipe.adapters.database.ledger import Ledger

TABLES = "select concat(schema_name, '.', table_name) from duckdb_tables() where not internal order by all"
SCHEMA = """
    select sql from duckdb_tables() where not internal
    union all select sql from duckdb_views() where not internal
    union all select sql from duckdb_indexes()
    union all select concat(sql, last_value) from duckdb_sequences()
    order by all
"""


def schema(file: Path) -> list[tuple[Any, ...]]:
    """What a DuckDB file is made of, and how many rows each table has."""
    with duckdb.connect(file, read_only=True) as database:
        tables = [name for (name,) in database.execute(TABLES).fetchall()]
        rows = [(n, *database.execute(f"select count(*) from {n}").fetchall()) for n in tables]
        return database.execute(SCHEMA).fetchall() + rows


def test_a_copied_ledger_holds_what_migrations_make(tmp_path: Path) -> None:
    new_stores.write_ledger(tmp_path / "made.duckdb", 1.0)
    for name in ("first", "second"):
        Ledger(tmp_path / name / "ledger.duckdb").sources.collections()
        assert schema(tmp_path / name / "ledger.duckdb") == schema(tmp_path / "made.duckdb")


def test_another_schema_is_no_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_stores.copy_ledger(tmp_path / "one.duckdb", 1.0)
    known = sqlfiles.migrations()
    later = [*known, (known[-1][0] + 1, "later", "create table core.later (x integer);")]
    monkeypatch.setattr(sqlfiles, "migrations", lambda: later)
    new_stores.copy_ledger(tmp_path / "two.duckdb", 1.0)
    assert len(schema(tmp_path / "two.duckdb")) == len(schema(tmp_path / "one.duckdb")) + 2


@pytest.mark.slow
def test_a_copied_mlflow_store_holds_what_mlflow_makes(tmp_path: Path) -> None:
    artifacts = (tmp_path / "artifacts").as_uri()
    new_stores.copy_mlflow_store(tmp_path / "first.db", "file:///elsewhere")
    made = {"made": new_stores.write_mlflow_store, "copied": new_stores.copy_mlflow_store}
    for name, write in made.items():
        write(tmp_path / f"{name}.db", artifacts)
    assert dump(tmp_path / "copied.db") == dump(tmp_path / "made.db")
    assert any(f"{artifacts}/0" in line for line in dump(tmp_path / "copied.db"))


def dump(file: Path) -> Counter[str]:
    """What an SQLite file holds, but for instants and the order of constraints."""
    with closing(sqlite3.connect(file)) as store:
        lines = "\n".join(store.iterdump()).splitlines()
    return Counter(re.sub(r"\b\d{13}\b", "TIME", line).strip().rstrip(",") for line in lines)
