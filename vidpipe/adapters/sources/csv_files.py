"""Strict CSV reader of manifests, label files and dataset lists: nothing is silently dropped.

The csv module drops surplus cells into a key None, lets an open quote swallow the lines behind it, and takes
`label`, ` label` and `Label` for three columns. Here each of these is understood, or refused with its line.

Source: https://www.rfc-editor.org/rfc/rfc4180 (quotes), https://docs.python.org/3/library/csv.html (`strict`)
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import zip_longest
from pathlib import Path
from typing import Any

from vidpipe.errors import ConfigurationError
from vidpipe.records.names import folded

SEPARATORS: Mapping[str, str] = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}
"""Those with a name; the first four are recognised by the header."""
_BREAK = re.compile(r"\r\n?|\n")
_NAMED = {"tab": "\t", "\\t": "\t", "space": " "}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table; missing cells at its end are empty."""

    number: int
    """In the file, from 1; of a quoted cell with line breaks, the first."""
    cells: dict[str, str]
    """By column name, trimmed."""


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file with a header."""

    columns: tuple[str, ...]
    """Trimmed and case-folded; columns without a name and without a value are left out."""
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    """What a person should know of how it was read: another separator, short lines."""


def read_table(
    file: Path, needed: Sequence[str], *, separator: str | None = None, plain: Sequence[str] = ()
) -> Table:
    """Read all lines of a CSV file in UTF-8, by column name.

    Blank lines and lines of nothing but separators are skipped.

    Args:
        file: With a header; a byte order mark and Excel's `sep=;` line do no harm.
        needed: Columns that must be there.
        separator: One character, `tab` or `space`; default: a comma, or what the header is separated by.
        plain: Columns that hold no line break.

    Raises:
        ConfigurationError: Not such a file, a column missing or twice, an open quote, or a line that has more
            cells than the header; the message has the line's number.
    """
    text = read_text(file)
    chosen = _separator(text, [folded(name) for name in needed], separator)
    rows = _rows(file, text, chosen)
    _, header = next(rows, (1, []))
    columns = [folded(name) for name in header]
    _refuse_missing(file, columns, [folded(name) for name in needed], header)
    _refuse_twice(file, columns)
    plain = [folded(name) for name in plain]
    lines, short = [], 0
    for number, row in rows:
        short += len(row) < len(columns)
        lines.append(Line(number, _fitted(file, number, columns, row, plain)))
    notes = [f"the columns are separated by a {SEPARATORS.get(chosen, repr(chosen))}."] * (
        separator is None and chosen != ","
    )
    notes += [f"{short} lines have fewer cells than the header: the last ones count as empty."] * bool(short)
    return Table(tuple(name for name in columns if name), tuple(lines), tuple(notes))


def read_rows(file: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Read a list without a header: number and trimmed cells of each line that is not blank.

    Raises:
        ConfigurationError: Not such a file, an open quote, or no such separator.
    """
    return _rows(file, read_text(file), _NAMED.get(separator, separator))


def read_text(file: Path) -> str:
    """Read a text file in UTF-8, without its byte order mark.

    Raises:
        ConfigurationError: It cannot be read, or has another encoding.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {file}: {error.strerror}.", next_step="pass a UTF-8 text file that may be read."
        ) from None
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in raw[:1024]:
        raise ConfigurationError(
            f"cannot read {file}: it is UTF-16 or no text at all.",
            next_step="save it as CSV UTF-8, as spreadsheets call it.",
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"cannot read {file}: byte 0x{raw[error.start]:02x} in line {line} is not UTF-8.",
            next_step="save it as CSV UTF-8, as spreadsheets call it.",
        ) from None


# -- separators ---------------------------------------------------------------------------------


def _separator(text: str, needed: Sequence[str], given: str | None) -> str:
    """Delimiter: the given one, or the one under which the header has the needed columns."""
    if given is not None:
        return _NAMED.get(given, given)
    said, header = _split_off_sep(text)
    if said:
        return said
    line = next((line for line in header.splitlines() if line.strip()), "")
    for separator in list(SEPARATORS)[:4]:
        names = [folded(name.strip().strip('"')) for name in line.split(separator)]
        if len(names) > 1 and set(needed) <= set(names):
            return separator
    return ","


def _split_off_sep(text: str) -> tuple[str, str]:
    """Split off Excel's first line `sep=;`, which names the delimiter."""
    first = re.match(r'"?sep=(.)"?\r?\n', text, re.IGNORECASE)
    return (first[1], text[first.end() :]) if first else ("", text)


# -- lines --------------------------------------------------------------------------------------


def _rows(file: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Number and trimmed cells of each line that is not blank."""
    said, rest = _split_off_sep(text)
    reader, before = _reader(file, rest, separator), 1 if said else 0
    while True:
        begun = before + reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _unreadable(file, begun, before + reader.line_num, separator, error) from None
        if any(cell.strip() for cell in row):
            _refuse_swallowed(file, begun, row, separator)
            yield begun, [cell.strip() for cell in row]


def _reader(file: Path, text: str, separator: str) -> Any:
    try:
        return csv.reader(
            StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=separator != " "
        )
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"cannot read {file} with the delimiter {separator!r}: {error}.",
            next_step="pass --delimiter one character, or tab, or space.",
        ) from None


def _fitted(
    file: Path, number: int, columns: Sequence[str], row: Sequence[str], plain: Sequence[str]
) -> dict[str, str]:
    """A line's cells by column; refuses surplus cells, and line breaks where none belong."""
    cells = [*row, *[""] * (len(columns) - len(row))]
    named = sum(bool(name) for name in columns)
    for name, cell in zip_longest(columns, cells, fillvalue=""):
        if cell and not name:
            raise ConfigurationError(
                f"{file} line {number}: {len(row)} cells, but the header has {named}: "
                f"{cell[:60]!r} has no column.",
                next_step='put a value that holds the separator in double quotes, like "Archery, slowly".',
            )
        if name in plain and _BREAK.search(cell):
            raise _open_quote(file, number, cell)
    return {name: cell for name, cell in zip(columns, cells, strict=False) if name}


# -- what is refused ----------------------------------------------------------------------------


def _refuse_missing(file: Path, columns: Sequence[str], needed: Sequence[str], header: Sequence[str]) -> None:
    if absent := [name for name in needed if name not in columns]:
        raise ConfigurationError(
            f"{file} has no column {', '.join(absent)}, but {', '.join(header) or 'no header at all'}.",
            next_step="name it so in the file's first line; a file with other names, or none: "
            "vidpipe manifest csv.",
        )


def _refuse_twice(file: Path, columns: Sequence[str]) -> None:
    twice = [name for name, times in Counter(columns).items() if name and times > 1]
    if twice:
        raise ConfigurationError(
            f"{file} has the column {twice[0]} more than once (case and spaces do not tell columns apart).",
            next_step="keep one of them, or give the other one another name.",
        )


def _refuse_swallowed(file: Path, number: int, row: Sequence[str], separator: str) -> None:
    """Refuse a multi-line cell that contains a line of the table: a quote was left open."""
    for cell in row:
        if any(line.count(separator) >= max(1, len(row) - 1) for line in _BREAK.split(cell)[1:]):
            raise _open_quote(file, number, cell)


def _open_quote(file: Path, number: int, cell: str) -> ConfigurationError:
    return ConfigurationError(
        f"{file} line {number}: a quoted value goes on over the next lines: {cell[:60]!r}.",
        next_step="close the quote in its own line; a quote within a value is written twice.",
    )


def _unreadable(file: Path, begun: int, ended: int, separator: str, error: csv.Error) -> ConfigurationError:
    """Error with the line where the csv module failed, which it does not name."""
    where = f"line {begun}" if ended <= begun else f"lines {begun} to {ended}"
    open_quote = "unexpected end of data" in str(error)
    return ConfigurationError(
        f"{file} {where}: {f'a quote opened in line {begun} is never closed' if open_quote else error} "
        f"(delimiter {separator!r}).",
        next_step="close the quote, or write one within a value twice; pass a CSV file in UTF-8.",
    )
