"""Session of a DuckDB transaction: named SQL statements, rows given to them, rows that come back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import duckdb

from vidpipe.adapters.database import sqlfiles

if TYPE_CHECKING:
    import pyarrow as pa

GIVEN_ROWS = 1_000
"""Rows of one Arrow batch: so few that building it sets off no full round of the garbage collector, which
visits every object. Beside 300,000 listed files, batches of 10,000 take 3 times as long."""


def now_utc() -> datetime:
    """Current time in naive UTC, as every timestamp of the ledger."""
    return datetime.now(UTC).replace(tzinfo=None)


def columns_of(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    """Column names of the last result."""
    return [column[0] for column in cursor.description or []]


def dicts(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Rows of the last result as dictionaries."""
    names = columns_of(cursor)
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


class Session:
    """An open transaction, whose `rows` and `run` execute named statements."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def rows(self, name: str, /, **parameters: Any) -> list[tuple[Any, ...]]:
        """Execute a named statement and return its rows."""
        return self.connection.execute(sqlfiles.statement(name), parameters).fetchall()

    def run(self, name: str, /, **parameters: Any) -> None:
        """Execute a named file of one or more statements."""
        # Several statements in one file each take only the parameters that they name.
        for part in duckdb.extract_statements(sqlfiles.statement(name)):
            named = {k: v for k, v in parameters.items() if k in part.named_parameters}
            self.connection.execute(part, named)

    def give(self, relation: str, types: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> None:
        """Register rows as a relation that the following statements can read.

        Args:
            relation: Its name in SQL.
            types: Column name to Arrow type, as in `rows.py`.
            rows: Values in the order of the columns; those of a generator are held in Arrow's columns alone.
        """
        import pyarrow as pa  # it and numpy take 0.1 s to load, which `status` does not have

        schema = pa.schema([(name, _arrow_type(alias)) for name, alias in types.items()])
        rest, batches = iter(rows), []
        while some := list(islice(rest, GIVEN_ROWS)):
            columns = zip(*some, strict=True)
            arrays = [pa.array(column, type_) for column, type_ in zip(columns, schema.types, strict=True)]
            batches.append(pa.record_batch(arrays, schema=schema))
        self.connection.register(relation, pa.Table.from_batches(batches, schema))


def _arrow_type(alias: str) -> pa.DataType:
    import pyarrow as pa

    return pa.map_(pa.string(), pa.string()) if alias == "map" else pa.type_for_alias(alias)
