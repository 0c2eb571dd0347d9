"""Object storage (S3, Google Cloud Storage) by fsspec: listing, download, upload.

fsspec's packages for S3 (s3fs) and Google Cloud Storage (gcsfs) are optional. They find credentials and
endpoint as other programs do: `AWS_PROFILE`, `AWS_ENDPOINT_URL`, an instance's role, …
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vidpipe.errors import ConfigurationError, StillChanging, StorageUnreachable, Vanished
from vidpipe.records.videos import SourceFile, StoredObject

CHUNK_BYTES = 16 << 20
"""What is asked for at once, and held in memory by each download."""
_CLIENTS = {"botocore", "aiobotocore", "aiohttp", "gcsfs", "google", "requests"}
"""Packages whose errors mean that the storage did not answer, or not as it should."""


class Objects:
    """Lists and downloads objects by their URI."""

    def list(self, source: str) -> list[SourceFile]:
        """List all objects below a prefix, sorted by path, without a request for each.

        Raises:
            ConfigurationError: No such bucket, or it may not be listed.
            StorageUnreachable: It does not answer.
        """
        root = _key(source)
        with _listing(source):
            found = _storage(source).find(root, detail=True)
        files = [_listed(key.removeprefix(f"{root}/"), facts) for key, facts in found.items() if key != root]
        return sorted((f for f in files if not f.path.endswith("/")), key=lambda f: f.path)

    def reach(self, source: str) -> None:
        """Check that there is something below a prefix, by one request or two.

        Raises:
            ConfigurationError: There is nothing, or it may not be listed.
            StorageUnreachable: It does not answer.
        """
        with _listing(source):
            _storage(source).info(_key(source))

    def find(self, uri: str) -> StoredObject:
        """Get the current size and etag of one object.

        Raises:
            ConfigurationError: There is none, or it may not be read.
            StorageUnreachable: The storage does not answer.
        """
        with _listing(uri):
            return _stored(uri, _storage(uri).info(_key(uri)))

    def download(self, wanted: StoredObject, file: Path) -> None:
        """Download an object into an existing file, and check that it is still the one that was listed.

        Raises:
            StillChanging: Another one has its name by now.
            Vanished: It is gone, or may not be read.
            StorageUnreachable: The storage does not answer.
        """
        storage, key = _storage(wanted.uri), _key(wanted.uri)
        try:
            with file.open("r+b") as stream, _reading(wanted.uri):
                for begin in range(0, wanted.size_bytes, CHUNK_BYTES):
                    end = min(begin + CHUNK_BYTES, wanted.size_bytes)
                    stream.write(storage.cat_file(key, start=begin, end=end))
        except StorageUnreachable:  # a shorter object has no such range, which is an error of its own
            _refuse_replaced(wanted)
            raise
        _refuse_replaced(wanted)


class BucketFolder:
    """Folder of immutable files under a prefix of a bucket."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def put(self, file: Path, name: str) -> None:
        """Upload a file atomically, by a single PUT or a multipart upload.

        Raises:
            StorageUnreachable: It did not arrive whole.
        """
        uri = f"{self._uri}/{name}"
        with _writing(uri):
            _storage(uri).put_file(str(file), _key(uri))
            arrived = _stored(uri, _storage(uri).info(_key(uri)))
        if arrived.size_bytes != (sent := file.stat().st_size):
            raise StorageUnreachable(f"{uri} arrived with {arrived.size_bytes:,} bytes, not {sent:,}.")

    def try_out(self) -> str:
        """Write and delete a test object; returns the prefix.

        Raises:
            ConfigurationError: It may not be written.
            StorageUnreachable: The storage does not answer.
        """
        uri = f"{self._uri}/doctor"
        with _writing(uri):
            _storage(uri).pipe_file(_key(uri), b"vidpipe doctor")
        self.remove("doctor")
        return self._uri

    @contextmanager
    def opened(self, name: str) -> Iterator[Any]:
        """Context manager of a file object without read-ahead: one request a read.

        Raises:
            StorageUnreachable: The storage does not answer, now or while it is read.
        """
        uri = f"{self._uri}/{name}"
        with _answering(uri), _storage(uri).open(_key(uri), "rb", cache_type="none") as stream:
            yield stream

    def ages_s(self) -> Iterator[tuple[str, int, float]]:
        """Name, bytes and age of every object."""
        root, now = _key(self._uri), time.time()
        with _listing(self._uri):
            found = _storage(self._uri).find(root, detail=True)
        for key, facts in found.items():
            changed = facts.get("LastModified") or facts.get("mtime")
            yield key.removeprefix(f"{root}/"), int(facts["size"]), now - changed.timestamp()

    def remove(self, name: str) -> None:
        """Delete an object."""
        uri = f"{self._uri}/{name}"
        with _writing(uri):
            _storage(uri).rm_file(_key(uri))


def _storage(uri: str) -> Any:
    """fsspec file system of a URI's scheme, one for each process and scheme."""
    import fsspec

    scheme = uri.split("://", 1)[0]
    try:
        return fsspec.filesystem(scheme, use_listings_cache=False)
    except ImportError:
        raise ConfigurationError(
            f"{scheme}:// needs a package that is not installed.",
            next_step=f"pip install 'vidpipe[{scheme}]'.",
        ) from None


def _refuse_replaced(wanted: StoredObject) -> None:
    with _reading(wanted.uri):
        now = _stored(wanted.uri, _storage(wanted.uri).info(_key(wanted.uri)))
    if now != wanted:
        raise StillChanging(
            f"{wanted.uri} has been replaced since it was listed.",
            next_step="nothing: the next night reads it anew.",
        )


def _key(uri: str) -> str:
    return uri.split("://", 1)[1].rstrip("/")


def _listed(path: str, facts: Mapping[str, Any]) -> SourceFile:
    return SourceFile(path, int(facts["size"]), None, None, etag=_etag(facts))


def _stored(uri: str, facts: Mapping[str, Any]) -> StoredObject:
    return StoredObject(uri, int(facts["size"]), _etag(facts))


def _etag(facts: Mapping[str, Any]) -> str:
    """Etag of an object, under S3's or Google's name; its modification time where there is none."""
    return str(facts.get("ETag") or facts.get("etag") or facts.get("LastModified") or "").strip('"')


@contextmanager
def _listing(uri: str) -> Iterator[None]:
    try:
        with _answering(uri):
            yield
    except FileNotFoundError as error:
        raise ConfigurationError(f"{uri}: {error}.", next_step="check the address.") from None
    except PermissionError as error:
        raise ConfigurationError(
            f"may not read {uri}: {error}.",
            next_step="grant these credentials s3:ListBucket and s3:GetObject, or their like.",
        ) from None


@contextmanager
def _writing(uri: str) -> Iterator[None]:
    try:
        with _answering(uri):
            yield
    except (FileNotFoundError, PermissionError) as error:
        raise ConfigurationError(
            f"cannot write {uri}: {error}.",
            next_step="check the bucket of VIDPIPE_FEATURES_URI, and that these credentials may write there.",
        ) from None


@contextmanager
def _reading(uri: str) -> Iterator[None]:
    try:
        with _answering(uri):
            yield
    except (FileNotFoundError, PermissionError) as error:
        raise Vanished(f"{uri} is gone, or may not be read: {error}.") from None


@contextmanager
def _answering(uri: str) -> Iterator[None]:
    """Context manager that translates the clients' network errors to `StorageUnreachable`."""
    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # told apart by where its class comes from; all others go on
        if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"):
            raise ConfigurationError(
                f"no credentials for {uri}: {error}.",
                next_step="set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            ) from None
        if not isinstance(error, OSError) and type(error).__module__.split(".")[0] not in _CLIENTS:
            raise
        raise StorageUnreachable(
            f"{uri}: {type(error).__name__}: {error}.",
            next_step="check AWS_ENDPOINT_URL and the network, then run the same command again.",
        ) from None
