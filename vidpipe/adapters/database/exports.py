"""Writers of a relation for other engines: Parquet files, and Delta Lake tables that grow night by night."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

import duckdb

from vidpipe.adapters.atomic import replacing
from vidpipe.adapters.database.attribute_views import quoted
from vidpipe.errors import ConfigurationError, StorageFailed

if TYPE_CHECKING:
    from deltalake import DeltaTable

RelationWriter: TypeAlias = "Callable[[duckdb.DuckDBPyConnection, str, Path], dict[str, Any]]"
"""Writes one relation, whose name the catalogue has, to a folder; returns what it wrote. A string: an
alias that holds DuckDB's class outlives the module, and at exit its binding complains of a leak."""

_AS_THEY_ARE = re.compile(
    r"BOOLEAN|(TINY|SMALL|BIG)?INT|INTEGER|FLOAT|DOUBLE|DATE|TIMESTAMP|VARCHAR(\[\])?|MAP\(.*\)"
)
_CAST = {"UTINYINT": "SMALLINT", "USMALLINT": "INTEGER", "UINTEGER": "BIGINT"}
"""Delta has no unsigned integers: deltalake stores 200 of a uint8 as -56."""
_NO_PATH = re.compile(r"[\x00-\x1f\x7f%\[\]\\^|\ud800-\udfff]")
"""With those deltalake 1.6 ends in a panic, or writes in one place what it looks for in another."""
_KEEP = {"delta.enableExpiredLogCleanup": "false"}
"""Otherwise versions older than 30 days can no longer be read once a checkpoint is written.
Source: https://docs.delta.io/table-properties/"""


def write_parquet(connection: duckdb.DuckDBPyConnection, relation: str, folder: Path) -> dict[str, Any]:
    """Write one relation as `RELATION.parquet`, replaced whole."""
    file = folder / f"{_file_name(relation)}.parquet"
    rows_of = connection.sql(f"from {quoted(relation)}")
    with replacing(file) as temp:
        rows_of.write_parquet(str(temp), compression="zstd")
    rows = rows_of.count("*").fetchall()[0][0]
    return {"relation": relation, "rows": rows, "bytes": file.stat().st_size, "file": str(file)}


def write_delta(connection: duckdb.DuckDBPyConnection, relation: str, folder: Path) -> dict[str, Any]:
    """Write one relation as a Delta Lake table: appended are new rows; where none is new, nothing is written.

    Where rows have gone or changed, the table is written anew, as one version; those before stay readable.

    Raises:
        ConfigurationError: `deltalake` is not installed.
        StorageFailed: The folder holds a table that cannot be read or written.
    """
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError
    except ImportError:
        raise ConfigurationError(
            "Delta Lake tables need deltalake, which is not installed.",
            next_step="pip install 'vidpipe[delta]'.",
        ) from None
    place = folder / _file_name(relation).replace("%", "=")
    if unfit := _NO_PATH.search(str(place.absolute())):
        raise ConfigurationError(
            f"a Delta Lake table cannot lie in {place}: deltalake takes no {unfit[0]!r} in a path.",
            next_step="pass a folder of another name.",
        )
    connection.execute(f"create or replace temp view fresh as {_fresh(connection, relation)}")
    try:
        table = DeltaTable(place) if DeltaTable.is_deltatable(str(place)) else None
        added = _bring_up_to_date(connection, place, table)
        version = DeltaTable(place).version()
    except DeltaError as error:
        raise StorageFailed(
            f"cannot write the Delta Lake table {place}: {error}.",
            next_step="run it again if another export was writing; else pass another folder.",
        ) from None
    ((rows,),) = connection.execute("select count(*) from fresh").fetchall()
    return {"relation": relation, "rows": rows, "written": added, "version": version, "file": str(place)}


def _bring_up_to_date(connection: duckdb.DuckDBPyConnection, place: Path, table: DeltaTable | None) -> int:
    """Commit what makes the table equal to `fresh`, if anything; returns the number of rows written."""
    if table is None:
        return _commit(connection, place, "fresh", "error")
    if not _comparable(connection, table):
        return _commit(connection, place, "fresh", "overwrite")
    connection.execute("create or replace temp table added as from fresh except all from stored")
    ((gone,),) = connection.execute("select count(*) from (from stored except all from fresh)").fetchall()
    connection.unregister("stored")
    if gone:
        return _commit(connection, place, "fresh", "overwrite")
    ((count,),) = connection.execute("select count(*) from added").fetchall()
    return _commit(connection, place, "added", "append") if count else 0


def _commit(connection: duckdb.DuckDBPyConnection, place: Path, rows: str, mode: Any) -> int:
    from deltalake import write_deltalake

    schema_mode: Any = "overwrite" if mode == "overwrite" else None
    reader = connection.sql(f"from {rows}").to_arrow_reader()
    write_deltalake(place, reader, mode=mode, schema_mode=schema_mode, configuration=_KEEP)
    ((count,),) = connection.execute(f"select count(*) from {rows}").fetchall()  # noqa: S608  (one of two names)
    return int(count)


def _comparable(connection: duckdb.DuckDBPyConnection, table: DeltaTable) -> bool:
    """Register the table's rows as `stored`; false where columns differ, or it needs a newer reader."""
    from deltalake.exceptions import DeltaProtocolError

    try:
        connection.register("stored", table.to_pyarrow_dataset())
    except DeltaProtocolError:
        return False
    stored, fresh = (connection.sql(f"from {name}") for name in ("stored", "fresh"))
    return stored.columns == fresh.columns and stored.types == fresh.types


def _fresh(connection: duckdb.DuckDBPyConnection, relation: str) -> str:
    """Query of a relation's rows in types that Delta has; what it has not becomes text."""
    rows_of = connection.sql(f"from {quoted(relation)}")
    columns = [
        f"{quoted(name)}::{_delta_type(kind)} as {quoted(name)}"
        for name, kind in zip(rows_of.columns, map(str, rows_of.types), strict=True)
    ]
    return f"select {', '.join(columns)} from {quoted(relation)}"  # noqa: S608  (quoted)


def _delta_type(kind: str) -> str:
    if kind in _CAST:
        return _CAST[kind]
    if array := re.fullmatch(r"(FLOAT|DOUBLE)\[\d+\]", kind):
        return f"{array[1]}[]"
    return kind if _AS_THEY_ARE.fullmatch(kind) else "VARCHAR"


def _file_name(relation: str) -> str:
    return quote(relation, safe=" ")  # a collection may be called a/b
