"""File trees and manifests: what a collection's source holds.

A folder is walked, without following links to folders; a manifest names files below the source.
"""

import csv
import errno
import hashlib
import math
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from io import FileIO, StringIO
from itertools import pairwise
from pathlib import Path, PurePosixPath

from vidpipe.errors import ConfigurationError, StorageFailed, Vanished
from vidpipe.records import GivenLabel, LabelledSpan, SourceFile

VIDEO_EXTENSIONS = frozenset({
    ".3g2", ".3gp", ".asf", ".avi", ".dv", ".flv", ".gif", ".h264", ".hevc", ".ivf", ".m2ts", ".m4v",
    ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".rm", ".rmvb", ".ts", ".vob",
    ".webm", ".wmv",
})  # fmt: skip
OTHER_EXTENSIONS = frozenset({
    ".aac", ".aif", ".csv", ".flac", ".heic", ".heif", ".jpeg", ".jpg", ".json", ".m3u", ".m3u8",
    ".m4a", ".md", ".mp3", ".oga", ".ogg", ".opus", ".parquet", ".pdf", ".png", ".srt", ".svg", ".swf",
    ".txt", ".wav", ".wma", ".xml", ".yaml", ".yml", ".zip",
})  # fmt: skip
SPLIT_NAMES = frozenset({"train", "val", "test"})
_CHUNK_BYTES = 1 << 20


class Catalog:
    """Reads sources and manifests from the local file system."""

    def list_folder(self, source: Path, *, label_from: str | None = None) -> list[SourceFile]:
        """All video files below `source`, sorted by path.

        A file counts as video by its extension or, where the extension says nothing, by its first
        bytes. With `label_from="folder"` the top folder's name is the label.

        Raises:
            ConfigurationError: `source` is not a folder that can be listed.
        """
        try:
            if not source.is_dir():
                raise ConfigurationError(
                    f"{source} is not a folder.", next_step="check that it exists and is mounted."
                )
            found = [_source_file(source, path) for path in sorted(_walk(source))]
        except PermissionError as error:
            raise ConfigurationError(
                f"may not list {error.filename}.", next_step="grant read access, then ingest again."
            ) from None
        except OSError as error:
            raise ConfigurationError(
                f"cannot list {error.filename}: {error.strerror}.",
                next_step="check that it is mounted, then ingest again.",
            ) from None
        files = [file for file in found if file]
        if label_from != "folder":
            return files
        return [_labelled_by_folder(file) for file in files]

    def list_manifest(self, source: Path, manifest: Path) -> tuple[list[SourceFile], list[str]]:
        """The files that a manifest names, sorted by path, and the named paths that do not exist.

        Lines with `start_s` and `end_s` label parts of a video; there may be several of a path.

        Raises:
            ConfigurationError: No `path` column, a path twice, or one that leaves the source, or spans that
                overlap or are none.
        """

        def look(path: str) -> SourceFile | None:
            try:
                found = (source / path).stat()
            except OSError:
                return None
            return SourceFile(path, found.st_size, found.st_mtime_ns, found.st_ino)

        return _named(manifest, str(source), look)

    def pick_videos(
        self, objects: Sequence[SourceFile], *, label_from: str | None = None
    ) -> list[SourceFile]:
        """Of the listed objects those that are videos by their extension, hidden ones left out.

        Unlike a file, an object of which the name says nothing is not looked into: that would be a request
        for each, every night. A manifest can name it.
        """
        files = [
            file for file in objects
            if PurePosixPath(file.path).suffix.lower() in VIDEO_EXTENSIONS
            and not any(part.startswith(".") for part in PurePosixPath(file.path).parts)
        ]  # fmt: skip
        return [_labelled_by_folder(file) for file in files] if label_from == "folder" else files

    def pick_named(
        self, source: str, objects: Sequence[SourceFile], manifest: Path
    ) -> tuple[list[SourceFile], list[str]]:
        """Of the listed objects those that a manifest names, and the named paths at which there is none.

        Raises:
            ConfigurationError: As `list_manifest`.
        """
        return _named(manifest, source, {file.path: file for file in objects}.get)

    def read_labels(self, file: Path) -> list[GivenLabel]:
        """What a person hands in: a CSV with `path`, `label`, and any of `collection` and `video_id`.

        Raises:
            ConfigurationError: Not such a file.
        """
        rows = _read_rows(file)
        if rows and "label" not in rows[0]:
            raise ConfigurationError(
                f"{file} has no column label.", next_step="vidpipe label-queue writes such a file."
            )
        return [
            GivenLabel(
                row["path"], row["label"] or None, row.get("collection") or None, row.get("video_id") or None
            )
            for row in rows
        ]

    def write_manifest(
        self, manifest: Path, columns: Sequence[str], rows: Sequence[Sequence[str]], *, overwrite: bool
    ) -> bool:
        """Write a manifest that `list_manifest` reads, whole or not at all; False if it is there already.

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
            _write_whole(manifest, text)
        except OSError as error:
            raise StorageFailed(
                f"cannot write {manifest}: {error.strerror}.",
                next_step="pass an --output in a folder that exists and may be written.",
            ) from None
        return True

    def hash_file(self, file: Path) -> str:
        """SHA-256 of a file's bytes, in hex: its `video_id`.

        Raises:
            Vanished: The file is gone, is no regular file, or may not be read.
        """
        digest = hashlib.sha256()
        try:
            with FileIO(file, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
                if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                    raise Vanished(f"{file} is not a regular file.")
                while chunk := stream.read(_CHUNK_BYTES):
                    digest.update(chunk)
        except OSError as error:
            if isinstance(error, Vanished):
                raise
            escaped = "\\udc" in str(file)
            raise Vanished(
                f"cannot read {file}: {error.strerror}.",
                next_step="rename it to valid UTF-8." if escaped else "",
            ) from None
        return digest.hexdigest()


def _walk(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path))
            elif _is_file(entry) and _looks_like_video(Path(entry.path)):
                yield Path(entry.path)


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file or a link to one; a link that leads nowhere, or round in a circle, is none."""
    try:
        return entry.is_file()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise


def _looks_like_video(file: Path) -> bool:
    extension = file.suffix.lower()
    if extension in VIDEO_EXTENSIONS:
        return True
    return extension not in OTHER_EXTENSIONS and _has_video_signature(file)


def _has_video_signature(file: Path) -> bool:
    """Whether the first bytes are those of a container that usually holds pictures.

    Source: https://en.wikipedia.org/wiki/List_of_file_signatures
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(189)
    except OSError:
        return False
    return (
        head[4:8] in (b"ftyp", b"moov", b"mdat")  # MP4, QuickTime
        or head.startswith(b"\x1aE\xdf\xa3")  # Matroska, WebM
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
        or head.startswith((b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"FLV\x01", b"DKIF"))
        or (head[:1] == b"\x47" and head[188:189] == b"\x47")  # MPEG transport stream
        or head.startswith(b"0&\xb2u\x8ef\xcf\x11")  # ASF, WMV
    )


def _source_file(source: Path, file: Path) -> SourceFile | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None  # gone since it was listed
    return SourceFile(
        _utf8(file.relative_to(source).as_posix()), found.st_size, found.st_mtime_ns, found.st_ino
    )


def _utf8(path: str) -> str:
    """A path that DuckDB can store; bytes that are not UTF-8 are shown escaped, and cannot be read."""
    return path.encode(errors="backslashreplace").decode()


def _labelled_by_folder(file: SourceFile) -> SourceFile:
    parts = PurePosixPath(file.path).parts
    label = parts[0] if len(parts) > 1 else None
    return replace(file, label=label)


def _named(
    manifest: Path, source: str, look: Callable[[str], SourceFile | None]
) -> tuple[list[SourceFile], list[str]]:
    """The files that a manifest names, sorted by path, with what it says of them; the paths without one."""
    rows = _read_rows(manifest)
    split_columns = _split_columns(rows)
    files: list[SourceFile] = []
    missing: list[str] = []
    lines = [
        (_checked_path(row.get("path") or "", source, manifest, line), row)
        for line, row in enumerate(rows, start=2)
    ]
    of_spans = _span_rows(lines)
    spans = _spans(of_spans, manifest)
    whole = [(path, row) for path, row in lines if not _is_span(row)]
    whole += [(path, _alike(some, manifest)) for path, some in of_spans.items()]
    for path, row in whole:
        if (found := look(path)) is None:
            missing.append(path)
            continue
        splits = {c: row[c] for c in split_columns if row[c]}
        label, group = row.get("label") or None, row.get("group") or None
        files.append(replace(found, label=label, group=group, splits=splits, spans=spans.get(path, ())))
    _refuse_duplicates([*missing, *(f.path for f in files)], manifest)
    return sorted(files, key=lambda f: f.path), missing


def _read_rows(manifest: Path) -> list[dict[str, str]]:
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = reader.fieldnames or []
            rows = [{k: (v or "").strip() for k, v in row.items() if k} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(
            f"cannot read the manifest {manifest}: {error}.", next_step="pass a UTF-8 CSV file."
        ) from None
    if "path" not in columns:
        raise ConfigurationError(
            f"{manifest} has no column path, but {', '.join(columns) or 'no header at all'}.",
            next_step="name the column of relative file paths `path`.",
        )
    return rows


def _split_columns(rows: list[dict[str, str]]) -> list[str]:
    """Columns all of whose values are train, val or test (a blank is no value)."""
    columns = [
        c for c in (rows[0] if rows else {}) if c not in ("path", "label", "group", "start_s", "end_s")
    ]
    values = {c: {row.get(c, "") for row in rows} - {""} for c in columns}
    return [c for c in columns if values[c] and values[c] <= SPLIT_NAMES]


def _checked_path(raw: str, source: str, manifest: Path, line: int) -> str:
    path = PurePosixPath(raw)
    if not raw or path.is_absolute() or ".." in path.parts:
        raise ConfigurationError(
            f"{manifest} line {line}: path {raw!r} is not a path inside {source}.",
            next_step="give paths relative to the source.",
        )
    return str(path)


def _is_span(row: dict[str, str]) -> bool:
    return bool(row.get("start_s") or row.get("end_s"))


def _span_rows(lines: Sequence[tuple[str, dict[str, str]]]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for path, row in lines:
        if _is_span(row):
            found.setdefault(path, []).append(row)
    return found


def _spans(of_path: dict[str, list[dict[str, str]]], manifest: Path) -> dict[str, tuple[LabelledSpan, ...]]:
    """The labelled parts of each path, in order of time."""
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
    """What the lines of one path say of the whole video: they must agree."""
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
    """Rows as CSV in UTF-8; before Python 3.13 the csv module forgets to quote a lone carriage return."""
    stream = StringIO(newline="")
    plain = csv.writer(stream, lineterminator="\n")
    quoting = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writerow(columns)
    for row in rows:
        (quoting if any("\r" in value for value in row) else plain).writerow(row)
    return stream.getvalue().encode()


def _write_whole(file: Path, content: bytes) -> None:
    temp = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        temp.write_bytes(content)
        temp.replace(file)
    finally:
        temp.unlink(missing_ok=True)
