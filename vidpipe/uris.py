"""URIs of sources (folders, s3://, gs://): validation, and the location of a listed file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from vidpipe.errors import ConfigurationError
from vidpipe.records.videos import LocalFile, Place, SourceFile, StoredObject

SCHEMES = ("s3", "gs")
"""Of object storage; `file` is another way to name a folder."""


def is_uri(source: str) -> bool:
    """Whether a source is object storage; else it is a folder."""
    return "://" in source


def place_of(source: str, file: SourceFile, video_id: str | None = None) -> Place:
    """Location of a listed file of a source; `video_id` once its bytes have been hashed."""
    if is_uri(source):
        return StoredObject(f"{source}/{file.path}", file.size_bytes, file.etag)
    path = _folder(source) / file.path
    if file.mtime_ns is None or file.inode is None:
        return path
    return LocalFile(path, file.size_bytes, file.mtime_ns, file.inode, file.ctime_ns, video_id)


@lru_cache(64)
def _folder(source: str) -> Path:
    """A source's folder, parsed once and not for each of its files."""
    return Path(source)


def checked_uri(text: str) -> str:
    """Validate and normalise a URI; a `file://` URI becomes the path that it names.

    Sources are stored where everybody reads them: one that carries a secret is refused, and not repeated.

    Raises:
        ConfigurationError: Not a URI of a bucket or a folder, or one with a user, password or query.
    """
    parts = urlsplit(text)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(
            f"a {parts.scheme}:// address may carry no user name, password, query or fragment.",
            next_step="give credentials by the environment, such as AWS_PROFILE; see README, Object storage.",
        )
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return unquote(parts.path)
    if parts.scheme not in SCHEMES or not parts.netloc or ".." in parts.path.split("/"):
        raise ConfigurationError(
            f"{text} is no address of a bucket or a folder.",
            next_step="pass a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or file:///FOLDER.",
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
