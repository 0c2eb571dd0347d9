"""Creation of the public views and of their comments, and the views that are tables in the snapshot.

A column has the meaning of its name in `sql/columns.csv`, where `sql/views` says nothing else of it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from functools import cache
from io import StringIO

import duckdb

from vidpipe.adapters.database import sqlfiles
from vidpipe.adapters.database.attribute_views import literal, quoted

COMPUTED = ("present_video", "serving_prediction")
"""Of the schema `core`."""


@cache
def _meanings() -> dict[str, str]:
    return {row["column"]: row["meaning"] for row in csv.DictReader(StringIO(sqlfiles.columns()))}


def create_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Create or replace all public views and macros, and the comments of everything."""
    _comment(connection, lambda is_table, comment: is_table)  # what differs for one of them, the script says
    connection.execute(sqlfiles.views())
    _comment(connection, lambda is_table, comment: comment is None)


def materialise(connection: duckdb.DuckDBPyConnection) -> None:
    """Turn the views of `core` that most others begin with into tables, with the same comments."""
    for view in COMPUTED:
        ((said,),) = connection.execute(sqlfiles.statement("view_comment"), {"view": view}).fetchall()
        columns = [row for row in _columns(connection) if row[:2] == ("core", view) and row[4]]
        rows = f"select * from core.{view} order by collection_key, video_key"  # noqa: S608  (of `COMPUTED`)
        connection.execute(f"create table core.once as {rows}; drop view core.{view}")
        connection.execute(f"alter table core.once rename to {view}")
        connection.execute(f"comment on table core.{view} is {literal(said)}")
        _say(connection, [(*row[:3], str(row[4])) for row in columns])


def _comment(connection: duckdb.DuckDBPyConnection, wanted: Callable[[bool, str | None], bool]) -> None:
    found = [row for row in _columns(connection) if row[2] in _meanings() and wanted(row[3], row[4])]
    _say(connection, [(*row[:3], _meanings()[row[2]]) for row in found])


def _columns(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str, bool, str | None]]:
    """Schema, relation, column, whether it is a table's, and comment of every column."""
    return connection.execute(sqlfiles.statement("columns_commented")).fetchall()


def _say(connection: duckdb.DuckDBPyConnection, comments: Iterable[tuple[str, str, str, str]]) -> None:
    script = [
        f"comment on column {quoted(schema)}.{quoted(relation)}.{quoted(column)} is {literal(text)};"
        for schema, relation, column, text in comments
    ]
    if script:
        connection.execute("\n".join(script))
