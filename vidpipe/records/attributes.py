"""Typed columns of a manifest: attribute types, the values that parse, and what a collection declares."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, time, tzinfo

from vidpipe.errors import ConfigurationError
from vidpipe.records.names import folded
from vidpipe.records.recording_time import EXPECTED, checked_pattern, recording_time, time_zone

_ALIASES = {
    "VARCHAR": ("text", "string", "str", "varchar"), "INTEGER": ("integer", "int"), "BIGINT": ("bigint",),
    "DOUBLE": ("double", "float", "real", "number"), "BOOLEAN": ("boolean", "bool"), "DATE": ("date",),
    "TIME": ("time",), "TIMESTAMP": ("timestamp", "datetime"),
}  # fmt: skip
_BITS = {"INTEGER": 31, "BIGINT": 63}
TYPES: Mapping[str, str] = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}
"""What people call the types, in lower case, to DuckDB's names."""
EXPECTATIONS: Mapping[str, str] = {
    "VARCHAR": "a text", "INTEGER": "a whole number of at most 31 bits (bigint takes 63)",
    "BIGINT": "a whole number of at most 63 bits", "DOUBLE": "a number such as 12.5",
    "BOOLEAN": "true or false, yes or no, 1 or 0", "DATE": "a date such as 2026-11-29",
    "TIME": "a time of day such as 17:05:00", "TIMESTAMP": EXPECTED,
}  # fmt: skip
_BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
OWN_COLUMNS = ("collection", "path", "video_id", "present", "label", "group", "start_s", "end_s")
"""Names that no declared attribute may have: columns of the manifest or of the view beside it."""


@dataclass(frozen=True, slots=True)
class Declared:
    """Declarations of a collection: typed columns of its manifest, and how recording times are read."""

    attributes: Mapping[str, str] = field(default_factory=dict)
    """Column of the manifest, case-folded, to DuckDB's name of its type."""
    time_from_name: str | None = None
    """Pattern of file names, as of strptime."""
    time_zone: str = "UTC"
    """Of times that name none."""

    @classmethod
    def of(
        cls, attributes: Mapping[str, str] | None, time_from_name: str | None, time_zone: str | None
    ) -> Declared:
        """Declarations as the ledger has them, where null is the default."""
        return cls(dict(attributes or {}), time_from_name or None, time_zone or "UTC")

    def changed(
        self, attributes: Iterable[str] | None, time_from_name: str | None, zone: str | None
    ) -> Declared:
        """Declarations as a person asks: None keeps what there is, '' clears it.

        Raises:
            ConfigurationError: A name, a type, a pattern or a zone cannot be right.
        """
        types = self.attributes if attributes is None else declared_types(attributes)
        pattern = self.time_from_name if time_from_name is None else time_from_name or None
        named = self.time_zone if zone is None else zone or "UTC"
        time_zone(named)
        return Declared(types, checked_pattern(pattern) if pattern else None, named)


def declared_types(declarations: Iterable[str]) -> dict[str, str]:
    """Types by column, of declarations such as `site:text`; empty ones are dropped.

    Raises:
        ConfigurationError: Not NAME:TYPE, an unknown type, a column twice, or one of vidpipe's own.
    """
    found: dict[str, str] = {}
    for declaration in filter(None, declarations):
        name, _, asked = declaration.rpartition(":")
        name, type_ = folded(name), TYPES.get(folded(asked))
        if not name or type_ is None:
            raise _refused(
                declaration, f"has no type among {', '.join(TYPES)}" if name else "is no NAME:TYPE"
            )
        if name in OWN_COLUMNS:
            raise _refused(declaration, "has a name that vidpipe gives a meaning of its own")
        if name in found:
            raise _refused(declaration, "declares its column a second time")
        found[name] = type_
    return found


def _refused(declaration: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"--attribute {declaration!r} {why}.",
        next_step="pass a column of the manifest with its type, such as --attribute temperature:double.",
    )


def canonical_value(text: str, type_: str, zone: tzinfo) -> str:
    """A value as DuckDB casts it without loss to its type; times become naive UTC.

    Raises:
        ValueError: It does not parse: see `EXPECTATIONS`.
    """
    if type_ == "TIMESTAMP":
        return recording_time(text, zone).isoformat(sep=" ")
    return _PARSERS[type_](text.strip())


def _integer(bits: int) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(r"[+-]?\d{1,20}", text, re.ASCII) or not -(2**bits) <= int(text) < 2**bits:
            raise ValueError(text)
        return str(int(text))

    return parse


def _double(text: str) -> str:
    if not text.isascii() or "_" in text or not math.isfinite(value := float(text)):
        raise ValueError(text)
    return repr(value)


def _boolean(text: str) -> str:
    if (value := _BOOLEANS.get(text.lower())) is None:
        raise ValueError(text)
    return str(value).lower()


_PARSERS: Mapping[str, Callable[[str], str]] = {
    "VARCHAR": lambda text: text,
    "INTEGER": _integer(_BITS["INTEGER"]),
    "BIGINT": _integer(_BITS["BIGINT"]),
    "DOUBLE": _double,
    "BOOLEAN": _boolean,
    "DATE": lambda text: date.fromisoformat(text).isoformat(),
    "TIME": lambda text: _naive_time(text).isoformat(),
}


def _naive_time(text: str) -> time:
    value = time.fromisoformat(text)
    if value.tzinfo is not None:
        raise ValueError(text)
    return value


UNDECLARED = Declared()
"""No typed columns, no pattern, UTC."""
