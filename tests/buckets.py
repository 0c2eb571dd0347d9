"""A server on loopback that speaks S3 (moto's), buckets in it, and homes whose downloads are counted."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import httpx
import numpy as np
import pytest

from vidpipe.adapters.sources.buckets import Objects
from vidpipe.adapters.sources.staging import Staging
from vidpipe.demo.clips import DemoCollection
from vidpipe.ports import Ports
from vidpipe.records.features import StoredFeatures
from vidpipe.records.videos import StoredObject

FEATURES = "select video_id, part, row_offset, n_frames from video_features order by video_id"

_numbers = count(1)


@dataclass
class S3Server:
    """Started and stopped at will; what it stores is lost with it."""

    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()[-2000:]
            time.sleep(0.1)

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/moto-api/", timeout=2).is_success
        except httpx.HTTPError:
            return False


@dataclass(frozen=True)
class Bucket:
    """One bucket, by a client of its own: not by the code under test."""

    name: str
    client: Any

    @property
    def uri(self) -> str:
        return f"s3://{self.name}"

    def put(self, key: str, content: bytes | Path) -> None:
        body = content.read_bytes() if isinstance(content, Path) else content
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def put_tree(self, folder: Path, prefix: str) -> None:
        for file in sorted(f for f in folder.rglob("*") if f.is_file()):
            self.put(f"{prefix}/{file.relative_to(folder).as_posix()}", file)

    def remove(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)

    def keys(self, prefix: str = "") -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix)
        return [entry["Key"] for entry in found.get("Contents", [])]


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    server = S3Server(port, tmp_path_factory.mktemp("s3") / "server.log")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def s3_settings(s3_server: S3Server) -> Iterator[dict[str, str]]:
    """What a person would set, in this process and for those that it starts."""
    settings = {
        "AWS_ENDPOINT_URL": s3_server.url, "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-tests",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    yield settings
    for name, value in before.items():
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@pytest.fixture(scope="module")
def bucket(s3_settings: dict[str, str]) -> Bucket:
    """An empty bucket for the tests of a module."""
    import boto3

    client = boto3.client("s3", endpoint_url=s3_settings["AWS_ENDPOINT_URL"])
    name = f"videos-{next(_numbers)}"
    client.create_bucket(Bucket=name)
    return Bucket(name, client)


# -- homes --------------------------------------------------------------------------------------


@dataclass
class Watch:
    """Downloads, counted; and the most bytes that lay in staging when one ended."""

    folder: Path
    fetched: Counter[str] = field(default_factory=Counter)
    most_bytes: int = 0

    def __call__(self, wanted: StoredObject, file: Path) -> None:
        self.fetched[wanted.name] += 1
        Objects().download(wanted, file)
        self.most_bytes = max(self.most_bytes, sum(size for _, size in self.staged()))

    def staged(self) -> list[tuple[str, int]]:
        """What lies in staging, by name, with its size."""
        found = []
        for entry in os.scandir(self.folder) if self.folder.exists() else ():
            try:
                found.append((entry.name, entry.stat().st_size))
            except FileNotFoundError:
                continue  # somebody else removed it
        return sorted(f for f in found if f[0] != "held")


@dataclass
class Installation:
    """A home whose downloads are counted."""

    home: Path
    ports: Ports
    watch: Watch

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True) as warehouse:
            return warehouse.execute(query).fetchall()

    def features(self) -> dict[str, np.ndarray]:
        stored = [StoredFeatures(*row) for row in self.rows(FEATURES)]
        found = self.ports.store.read(self.ports.limits.spec.feature_set_id, stored)
        return {f.video_id: f.values for f in found}


@pytest.fixture
def install(tmp_path: Path, make_ports: Callable[[Path], Ports]) -> Callable[..., Installation]:
    """Makes a home with a bound for staging; a frame a second is enough to look at."""

    def make(name: str = "home", staging_bytes: int = 1 << 30, **more: str) -> Installation:
        home = tmp_path / name
        home.mkdir()
        settings = {"sample_fps": 1, "staging_bytes": staging_bytes, **more}
        (home / "vidpipe.toml").write_text("".join(f"{k} = {v!r}\n" for k, v in settings.items()))
        ports, watch = make_ports(home), Watch(home / "staging")
        return Installation(home, replace(ports, staging=Staging(watch.folder, staging_bytes, watch)), watch)

    return make


@pytest.fixture
def inbox(bucket: Bucket, clips: DemoCollection) -> Iterator[str]:
    """Six clips in the bucket, below a prefix of its own; what it holds is gone afterwards."""
    prefix = f"inbox-{time.monotonic_ns()}"
    for file in sorted(clips.incoming.rglob("*.mp4"))[:6]:
        bucket.put(f"{prefix}/{file.name}", file)
    yield f"{bucket.uri}/{prefix}"
    for key in bucket.keys(prefix):
        bucket.remove(key)


def counts(made: Any) -> tuple[int, int, int, int]:
    return made.new, made.unchanged, made.removed, made.failed
