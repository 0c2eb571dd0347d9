"""Listing of video files in folders and manifests, and content hashing.

A folder is walked, without following links to folders; a manifest names files below the source.
"""

import errno
import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from vidpipe.adapters.sources.dicom_files import holds_several_frames, is_dicom_file
from vidpipe.adapters.sources.identity import sha256_of
from vidpipe.adapters.sources.manifest_files import ManifestFiles, read_named
from vidpipe.adapters.sources.timeouts import Tick, answered
from vidpipe.errors import ConfigurationError
from vidpipe.records.globs import ALL, Globs
from vidpipe.records.videos import Listing, SourceFile

VIDEO_EXTENSIONS = frozenset({
    ".264", ".265", ".3g2", ".3gp", ".apng", ".asf", ".avi", ".cine", ".divx", ".dv", ".f4v", ".flv", ".gif",
    ".h264", ".h265", ".hevc", ".ivf", ".lrv", ".m1v", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv",
    ".mod", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogv", ".qt", ".rm", ".rmvb", ".ser",
    ".tod", ".ts", ".vob", ".webm", ".wmv", ".wtv", ".y4m",
})  # fmt: skip
DICOM_EXTENSIONS = frozenset({".dcm", ".dicom"})
OTHER_EXTENSIONS = frozenset({
    ".aac", ".aif", ".csv", ".flac", ".heic", ".heif", ".jpeg", ".jpg", ".json", ".m3u", ".m3u8",
    ".m4a", ".md", ".mp3", ".oga", ".ogg", ".opus", ".parquet", ".pdf", ".png", ".srt", ".svg", ".swf",
    ".txt", ".wav", ".wma", ".xml", ".yaml", ".yml", ".zip",
})  # fmt: skip


class Catalog(ManifestFiles):
    """Reader of folders and manifests on the local file system."""

    def list_folder(self, source: Path, *, label_from: str | None = None, globs: Globs = ALL) -> Listing:
        """List all video files below `source`, sorted by path, and count the other files.

        A file counts as video by its extension or, where the extension says nothing, by its first
        bytes; or where `globs` ask for its extension. With `label_from="folder"` the top folder's name is
        the label.

        Raises:
            ConfigurationError: `source` is not a folder that can be listed.
            StorageUnreachable: Its mount does not answer.
        """
        return answered(source, lambda tick: _listed_folder(source, label_from, globs, tick))

    def list_manifest(
        self, source: Path, manifest: Path, declared: Collection[str] = ()
    ) -> tuple[list[SourceFile], list[str]]:
        """List the files that a manifest names, sorted by path, and the named paths that do not exist.

        Lines with `start_s` and `end_s` label parts of a video; there may be several of a path. `declared`
        names the columns that are typed attributes.

        Raises:
            ConfigurationError: No `path` column, or a declared one, a path twice, or one that leaves the
                source, or spans that overlap or are none.
            StorageUnreachable: The mount of the source or of the manifest does not answer.
        """

        def named(tick: Tick) -> tuple[list[SourceFile], list[str]]:
            def look(path: str) -> SourceFile | None:
                tick()
                try:
                    found = (source / path).stat()
                except OSError:
                    return None
                return _listed(path, found)

            return read_named(manifest, str(source), look, declared)

        return answered(source, named)

    def pick_videos(
        self, objects: Sequence[SourceFile], *, label_from: str | None = None, globs: Globs = ALL
    ) -> Listing:
        """Choose the videos among listed objects by extension, without hidden ones.

        Unlike a file, an object of which the name says nothing is not looked into: that would be a request
        for each, every night. A manifest can name it.
        """
        shown = [f for f in objects if not any(part.startswith(".") for part in PurePosixPath(f.path).parts)]
        files = [
            f for f in shown
            if globs.take(f.path) and (_names_video(f.path) or globs.name_suffix_of(f.path))
        ]  # fmt: skip
        passed_over = Counter(_suffix(f.path) for f in shown) - Counter(_suffix(f.path) for f in files)
        return Listing(_labelled(files, label_from), dict(passed_over))

    def pick_named(
        self, source: str, objects: Sequence[SourceFile], manifest: Path, declared: Collection[str] = ()
    ) -> tuple[list[SourceFile], list[str]]:
        """Choose the listed objects that a manifest names, and list the named paths without one.

        Raises:
            ConfigurationError: As `list_manifest`.
        """
        return read_named(manifest, source, {file.path: file for file in objects}.get, declared)

    def hash_file(self, file: Path) -> str:
        """SHA-256 of a file's bytes, in hex: its `video_id`.

        Raises:
            Vanished: The file is gone, is no regular file, or may not be read.
        """
        return sha256_of(file)


def _listed_folder(source: Path, label_from: str | None, globs: Globs, tick: Tick) -> Listing:
    try:
        if not source.is_dir():
            raise ConfigurationError(
                f"{source} is not a folder.", next_step="check that it exists and is mounted."
            )
        taken, passed_over = _sorted_out(source, globs, tick)
        found = [_source_file(file, path, tick) for file, path in taken]
    except PermissionError as error:
        raise ConfigurationError(
            f"may not list {error.filename}.", next_step="grant read access, then ingest again."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"cannot list {error.filename}: {error.strerror}.",
            next_step="check that it is mounted, then ingest again.",
        ) from None
    return Listing(_labelled([file for file in found if file], label_from), passed_over)


def _sorted_out(source: Path, globs: Globs, tick: Tick) -> tuple[list[tuple[Path, str]], dict[str, int]]:
    """Walk a folder: videos sorted by relative path, and the number of other files by suffix."""
    taken: list[tuple[Path, str]] = []
    passed_over: Counter[str] = Counter()
    for file in _walk(source):
        tick()
        path = _utf8(file.relative_to(source).as_posix())
        if globs.take(path) and (globs.name_suffix_of(path) or _looks_like_video(file)):
            taken.append((file, path))
        else:
            passed_over[_suffix(path)] += 1
    return sorted(taken), dict(passed_over)


def _names_video(path: str) -> bool:
    return _suffix(path) in VIDEO_EXTENSIONS | DICOM_EXTENSIONS


def _suffix(path: str) -> str:
    """Suffix of a file name in lower case, with its dot; empty where there is none."""
    return PurePosixPath(path).suffix.lower()


def _walk(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path))
            elif _is_file(entry):
                yield Path(entry.path)


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether a path is a file or a link to one; False for dangling and circular links."""
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
    if extension == ".webp":
        return _is_animated_webp(file)
    if extension in DICOM_EXTENSIONS or (extension not in OTHER_EXTENSIONS and is_dicom_file(file)):
        return holds_several_frames(file)
    return extension not in OTHER_EXTENSIONS and _has_video_signature(file)


def _is_animated_webp(file: Path) -> bool:
    """Whether a WebP has the animation flag; most are still pictures.

    Source: https://developers.google.com/speed/webp/docs/riff_container, VP8X.
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(21)
    except OSError:
        return False
    return head[8:16] == b"WEBPVP8X" and len(head) == 21 and bool(head[20] & 0x02)


def _has_video_signature(file: Path) -> bool:
    """Whether the first bytes are those of a video container.

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


def _source_file(file: Path, path: str, tick: Tick) -> SourceFile | None:
    tick()
    try:
        found = file.stat()
    except FileNotFoundError:
        return None  # gone since it was listed
    return _listed(path, found)


def _listed(path: str, found: os.stat_result) -> SourceFile:
    return SourceFile(path, found.st_size, found.st_mtime_ns, found.st_ino, ctime_ns=found.st_ctime_ns)


def _utf8(path: str) -> str:
    """Path as valid UTF-8, which DuckDB requires; other bytes are escaped, and such files cannot be read."""
    return path.encode(errors="backslashreplace").decode()


def _labelled(files: list[SourceFile], label_from: str | None) -> list[SourceFile]:
    return [_labelled_by_folder(file) for file in files] if label_from == "folder" else files


def _labelled_by_folder(file: SourceFile) -> SourceFile:
    parts = PurePosixPath(file.path).parts
    label = parts[0] if len(parts) > 1 else None
    return replace(file, label=label)
