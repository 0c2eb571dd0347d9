"""Manifest and label files (CSV): reading with validation, and writing."""

import csv
import logging
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from io import StringIO
from itertools import pairwise
from pathlib import Path, PurePosixPath, PureWindowsPath

from vidpipe.adapters.atomic import replacing
from vidpipe.adapters.sources.csv_files import Table, read_table
from vidpipe.errors import ConfigurationError, StorageFailed
from vidpipe.records.labels import GivenLabel, LabelledSpan
from vidpipe.records.names import SPLIT_WORDS, folded
from vidpipe.records.videos import SourceFile

OWN = ("path", "label", "group", "start_s", "end_s")
"""Columns that say what a video is; the others are splits, or kept as its attributes."""
log = logging.getLogger(__name__)


class ManifestFiles:
    """Reader of label files and writer of manifests."""

    def read_labels(self, file: Path) -> list[GivenLabel]:
        """Read a label file: CSV with `path`, `label`, and any of `collection` and `video_id`.

        Raises:
            ConfigurationError: Not such a file.
        """
        lines = [(line.cells, line.number) for line in _read(file, ("path", "label")).lines]
        return [
            GivenLabel(
                row["path"], row["label"] or None, row.get("collection") or None,
                row.get("video_id") or None, number,
            )
            for row, number in lines
        ]  # fmt: skip

    def write_manifest(
        self, manifest: Path, columns: Sequence[str], rows: Sequence[Sequence[str]], *, overwrite: bool
    ) -> bool:
        """Write a manifest atomically; False if the same is there already.

        Raises:
            ConfigurationError: Another file has that name, and `overwrite` is not set.
            StorageFailed: The disk is full, read-only, or has no such folder.
        """
        text = _csv_text(columns, rows)
        try:
            if manifest.is_file() and manifest.read_bytes() == text:
                return False
            if manifest.exists() and not (overwrite and manifest.is_file()):
                raise ConfigurationError(
                    f"{manifest} is there already, with other content than this manifest's.",
                    next_step="pass --overwrite to replace the file, or another --output.",
                )
            with replacing(manifest) as temp:
                temp.write_bytes(text)
        except OSError as error:
            raise StorageFailed(
                f"cannot write {manifest}: {error.strerror}.",
                next_step="pass an --output in a folder that exists and may be written.",
            ) from None
        return True


def read_named(
    manifest: Path, source: str, look: Callable[[str], SourceFile | None], declared: Collection[str] = ()
) -> tuple[list[SourceFile], list[str]]:
    """Files that a manifest names, sorted by path, with its values; and the named paths without a file.

    Args:
        manifest: A CSV in UTF-8.
        source: Where its paths lead from, for messages.
        look: The file at a path, where there is one.
        declared: Columns that must be there, and are attributes even where their values look like splits.

    Raises:
        ConfigurationError: As `Catalog.list_manifest`.
    """
    table = _read(manifest, ("path",))
    _refuse_undeclared(manifest, table, declared)
    split_columns = _split_columns(manifest, table, declared)
    others = [name for name in table.columns if name not in (*OWN, *split_columns)]
    files: list[SourceFile] = []
    missing: list[str] = []
    lines = [
        (_checked_path(line.cells["path"], source, manifest, line.number), line.cells) for line in table.lines
    ]
    numbers = {path: line.number for (path, _), line in zip(lines, table.lines, strict=True)}
    of_spans = _span_rows(lines)
    spans = _spans(of_spans, manifest)
    whole = [(path, row) for path, row in lines if not _is_span(row)]
    whole += [(path, _alike(some, manifest)) for path, some in of_spans.items()]
    for path, row in whole:
        if (found := look(path)) is None:
            missing.append(path)
            continue
        splits = {c: str(SPLIT_WORDS[folded(row[c])]) for c in split_columns if row[c]}
        attributes = {name: row[name] for name in others if row[name]}
        label, group = row.get("label") or None, row.get("group") or None
        files.append(
            replace(
                found, label=label, group=group, splits=splits, attributes=attributes,
                spans=spans.get(path, ()), line=numbers[path],
            )
        )  # fmt: skip
    _refuse_backslashes(missing, manifest, look)
    _refuse_duplicates([*missing, *(f.path for f in files)], manifest)
    return sorted(files, key=lambda f: f.path), missing


def _read(file: Path, needed: Sequence[str]) -> Table:
    table = read_table(file, needed, plain=(*OWN[1:], "collection", "video_id"))
    for note in table.notes:
        log.warning("%s: %s", file, note)
    return table


def _refuse_undeclared(manifest: Path, table: Table, declared: Collection[str]) -> None:
    if absent := [name for name in declared if name not in table.columns]:
        raise ConfigurationError(
            f"{manifest} has no column {absent[0]!r}, which the collection declares as an attribute; it has "
            f"{', '.join(table.columns)}.",
            next_step="correct the header, or pass --attribute for each typed column that there is "
            "(--attribute '' forgets them).",
        )


def _split_columns(manifest: Path, table: Table, declared: Collection[str]) -> list[str]:
    """Split columns: those whose values are all words for train, val or test; blanks do not count.

    Raises:
        ConfigurationError: A column that is named like one, or that is one but for some lines.
    """
    columns = []
    for name in table.columns:
        values = [(line.number, line.cells[name]) for line in table.lines if line.cells[name]]
        unknown = [(number, value) for number, value in values if folded(value) not in SPLIT_WORDS]
        if name in (*OWN, *declared) or not values:
            continue
        if not unknown:
            columns.append(name)
        elif name.startswith("split") or 2 * len(unknown) < len(values):
            number, value = unknown[0]
            raise ConfigurationError(
                f"{manifest} line {number}: {name} is {value!r}, which is none of train, val and test.",
                next_step=f"write one of {', '.join(SPLIT_WORDS)}, leave it blank, or rename the column.",
            )
    return columns


def _checked_path(raw: str, source: str, manifest: Path, line: int) -> str:
    path = PurePosixPath(raw)
    absolute = path.is_absolute() or bool(PureWindowsPath(raw).drive)
    if not raw or absolute or ".." in path.parts:
        why = ", but absolute" if absolute else ""
        command = "vidpipe manifest csv makes such paths relative." if absolute else ""
        raise ConfigurationError(
            f"{manifest} line {line}: path {raw!r} is not a path inside {source}{why}.",
            next_step=f"give paths relative to the source{'; ' if command else '.'}{command}",
        )
    return str(path)


def _refuse_backslashes(
    missing: Sequence[str], manifest: Path, look: Callable[[str], SourceFile | None]
) -> None:
    """Refuse backslashes in paths, as Windows writes them, with the path that was probably meant."""
    for path in missing:
        if "\\" in path and look(path.replace("\\", "/")):
            raise ConfigurationError(
                f"{manifest} names {path!r}: no such file, but with slashes for backslashes there is one.",
                next_step=f"write {path.replace(chr(92), '/')}, and so for the other paths.",
            )


def _is_span(row: dict[str, str]) -> bool:
    return bool(row.get("start_s") or row.get("end_s"))


def _span_rows(lines: Sequence[tuple[str, dict[str, str]]]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for path, row in lines:
        if _is_span(row):
            found.setdefault(path, []).append(row)
    return found


def _spans(of_path: dict[str, list[dict[str, str]]], manifest: Path) -> dict[str, tuple[LabelledSpan, ...]]:
    """Labelled spans of each path, in order of time; refuses overlaps."""
    found = {
        path: sorted((_span(path, row, manifest) for row in rows), key=lambda s: (s.start_s, s.end_s))
        for path, rows in of_path.items()
    }
    for path, spans in found.items():
        for one, next_one in pairwise(spans):
            if next_one.start_s < one.end_s:
                raise ConfigurationError(
                    f"{manifest}: {path} has two labels from {next_one.start_s:g} s on.",
                    next_step="let one span end where the next begins.",
                )
    return {path: tuple(spans) for path, spans in found.items()}


def _span(path: str, row: dict[str, str], manifest: Path) -> LabelledSpan:
    try:
        start_s, end_s = float(row.get("start_s") or ""), float(row.get("end_s") or "")
    except ValueError:
        start_s = end_s = math.nan
    if not 0 <= start_s < end_s < math.inf or not row.get("label"):
        raise ConfigurationError(
            f"{manifest}: {path} from {row.get('start_s')!r} to {row.get('end_s')!r} is no labelled span.",
            next_step="give start_s, a larger end_s, both in seconds, and a label.",
        )
    return LabelledSpan(start_s, end_s, row["label"])


def _alike(rows: Sequence[dict[str, str]], manifest: Path) -> dict[str, str]:
    """Values of a path's lines for the whole video, which must agree."""
    own = ("start_s", "end_s", "label")
    whole = [{k: v for k, v in row.items() if k not in own} for row in rows]
    if any(row != whole[0] for row in whole):
        raise ConfigurationError(
            f"{manifest}: the spans of {rows[0]['path']} differ in more than their label.",
            next_step="give all spans of a video the same group and split.",
        )
    return whole[0]


def _refuse_duplicates(paths: list[str], manifest: Path) -> None:
    seen: set[str] = set()
    for path in paths:
        if path in seen:
            raise ConfigurationError(
                f"{manifest} names {path} twice.", next_step="keep one line for each path."
            )
        seen.add(path)


def _csv_text(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    """Format rows as CSV in UTF-8; a lone carriage return is quoted, too (not by csv before Python 3.13)."""
    stream = StringIO(newline="")
    plain = csv.writer(stream, lineterminator="\n")
    quoting = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writerow(columns)
    for row in rows:
        (quoting if any("\r" in value for value in row) else plain).writerow(row)
    return stream.getvalue().encode()
