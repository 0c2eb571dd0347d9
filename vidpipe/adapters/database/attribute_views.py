"""Views attributes_<collection> in the published snapshot: a typed column for each declared attribute."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from vidpipe.adapters.database import sqlfiles
from vidpipe.records.attributes import TYPES


def create_attribute_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the view of each collection that declares attributes, with a comment on it and its columns."""
    for name, types in connection.execute(sqlfiles.statement("declared_attributes")).fetchall():
        connection.execute(attribute_view(name, types))


def attribute_view(collection: str, types: Mapping[str, str]) -> str:
    """Script of one view, from the template in `sql/statements/attribute_view.sql`.

    Names are quoted: they are what people call their collections and columns.
    """
    view = quoted(f"attributes_{collection}")
    assert set(types.values()) <= set(TYPES.values()), types  # they stand in the script as they are
    casts = [f"    cast(typed[{literal(n)}] as {type_}) as {quoted(n)}" for n, type_ in types.items()]
    comments = [
        f"comment on column {view}.{quoted(n)} is 'The manifest''s column of that name; null where it has "
        "no value, or one that does not parse, which is a row of failures.';"
        for n in types
    ]
    template = sqlfiles.statement("attribute_view")
    filled = template.replace("attributes_view", view).replace("'collection_name'", literal(collection))
    return "\n".join([filled.replace("    null as declared_columns", ",\n".join(casts)), *comments])


def quoted(name: str) -> str:
    """A name as an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"
