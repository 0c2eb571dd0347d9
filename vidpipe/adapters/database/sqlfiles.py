"""Loader of the SQL files: statements, migrations, views and examples.

In a checkout the files are in `sql/` beside the package, in a wheel in `vidpipe/sql`.
"""

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

_PACKAGE = Path(str(files("vidpipe")))
ROOT = (_PACKAGE if (_PACKAGE / "sql").is_dir() else _PACKAGE.parent) / "sql"


@cache
def statement(name: str) -> str:
    """Text of `sql/statements/<name>.sql`."""
    return (ROOT / "statements" / f"{name}.sql").read_text(encoding="utf-8")


@cache
def migrations() -> tuple[tuple[int, str, str], ...]:
    """All migrations in order, as (version, name, text)."""
    found = sorted((ROOT / "migrations").glob("[0-9]*_*.sql"))
    return tuple((int(f.stem.split("_")[0]), f.stem, f.read_text(encoding="utf-8")) for f in found)


def views_hash() -> str:
    """SHA-256 of `views()` and `columns()`, by which a ledger with older views is noticed."""
    return hashlib.sha256((views() + columns()).encode()).hexdigest()


@cache
def columns() -> str:
    """Text of `columns.csv`: the meaning of each column name."""
    return (ROOT / "columns.csv").read_text(encoding="utf-8")


@cache
def views() -> str:
    """All public views and macros with their comments, in the order of their names, as one script."""
    return "\n".join(f.read_text(encoding="utf-8") for f in sorted((ROOT / "views").glob("*.sql")))


def examples() -> list[Path]:
    """All example queries."""
    return sorted((ROOT / "examples").glob("*.sql"))
