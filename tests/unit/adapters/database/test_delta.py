"""Delta Lake tables of relations, read back by `deltalake`: they grow, and their past stays readable."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from vidpipe.adapters.database.exports import write_delta
from vidpipe.errors import ConfigurationError, StorageFailed

Write = Callable[[str], dict[str, Any]]


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@pytest.fixture
def write(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> Write:
    """Make the relation `t` of a query, and export it."""

    def export(query: str) -> dict[str, Any]:
        connection.execute(f"create or replace table t as {query}")
        return write_delta(connection, "t", tmp_path / "it's a lake")

    return export


def rows(written: dict[str, Any], version: int | None = None) -> list[dict[str, Any]]:
    table = DeltaTable(written["file"], version=version).to_pyarrow_table()
    return sorted(table.to_pylist(), key=str)


def test_new_rows_are_appended_and_nothing_is_written_twice(write: Write) -> None:
    one = "select 1 as a, map {'k': 'v'} as m, 'nan'::double as d, null::varchar as s"
    two = f"{one} union all select 2, map {{}}, 0.5, 'x'"
    assert [write(query)["version"] for query in (one, one, two, two)] == [0, 0, 1, 1]
    last = write(two)
    assert (last["rows"], last["written"]) == (2, 0)
    assert len(rows(last)) == 2 and len(rows(last, 0)) == 1
    assert len(DeltaTable(last["file"]).file_uris()) == 2, "the first file is as it was"


def test_the_past_is_read_by_version_and_by_time(write: Write) -> None:
    write("select 1 as a")
    between = datetime.now(UTC)
    written = write("select 2 as a")
    assert rows(written) == [{"a": 2}] and rows(written, 0) == [{"a": 1}]
    table = DeltaTable(written["file"])
    table.load_as_version(between)
    assert table.to_pyarrow_table().to_pylist() == [{"a": 1}]
    assert table.metadata().configuration["delta.enableExpiredLogCleanup"] == "false"


def test_rows_that_are_there_twice_are_there_twice(write: Write) -> None:
    write("select 1 as a")
    twice = write("from (values (1), (1)) v(a)")
    assert (twice["written"], len(rows(twice))) == (1, 2)
    assert rows(write("select 1 as a")) == [{"a": 1}]


def test_new_columns_and_types_make_a_new_version(write: Write) -> None:
    write("select 1 as a")
    written = write("select 1 as a, 'x' as b")
    assert rows(written) == [{"a": 1, "b": "x"}] and rows(written, 0) == [{"a": 1}]
    assert rows(write("select 'one' as a")) == [{"a": "one"}]


def test_types_that_delta_lacks_keep_their_values(write: Write) -> None:
    written = write(
        "select 200::utinyint as rank, [0.5, 1.5]::float[2] as v, '{\"a\": 1}'::json as j,"
        " timestamp '2026-05-01 22:00:00.25' as at, time '10:00' as t, interval 1 day as i, 'a b' as \"a b\""
    )
    (row,) = rows(written)
    assert row == {
        "rank": 200, "v": [0.5, 1.5], "j": '{"a": 1}', "at": datetime(2026, 5, 1, 22, 0, 0, 250_000),
        "t": "10:00:00", "i": "1 day", "a b": "a b",
    }  # fmt: skip
    assert write("from t")["version"] == 0


def test_an_empty_relation_is_a_table_too(write: Write) -> None:
    written = write("select 1 as a where false")
    assert (written["rows"], written["version"], rows(written)) == (0, 0, [])


def test_a_table_that_another_tool_changed_is_mended(write: Write) -> None:
    written = write("from (values (1), (2)) v(a)")
    DeltaTable(written["file"]).delete("a = 1")
    write_deltalake(written["file"], pa.table({"a": pa.array([7], pa.int32())}), mode="append")
    assert rows(write("from t")) == [{"a": 1}, {"a": 2}]


def test_odd_names_of_relations_and_folders(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    connection.execute('create table "attributes_a/b [1]%" as select 1 as a')
    written = write_delta(connection, "attributes_a/b [1]%", tmp_path)
    assert rows(written) == [{"a": 1}] and Path(written["file"]).parent == tmp_path
    for name in ("100%", "a[1]", "a|b", "a\nb"):
        with pytest.raises(ConfigurationError, match="deltalake takes no"):
            write_delta(connection, "attributes_a/b [1]%", tmp_path / name)
    assert [folder.name for folder in tmp_path.iterdir()] == [Path(written["file"]).name]


def test_a_broken_table_and_a_missing_library_are_said(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Path(write("select 1 as a")["file"]) / "_delta_log/00000000000000000000.json"
    log.write_text("{broken")
    with pytest.raises(StorageFailed, match="cannot write the Delta Lake table"):
        write("select 2 as a")
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(ConfigurationError, match="need deltalake") as caught:
        write("select 2 as a")
    assert "vidpipe[delta]" in str(caught.value.next_step)
