"""Buckets as sources: what is listed, what has changed, what is refused. On a server that speaks S3."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from buckets import Bucket, Installation, counts

from vidpipe.adapters.objects import Objects
from vidpipe.demo_clips import DemoCollection
from vidpipe.errors import ConfigurationError, StorageUnreachable
from vidpipe.ports import Ports
from vidpipe.steps.ingest import ingest, ingest_again


def test_an_object_replaced_under_its_key_is_noticed_by_its_etag(
    inbox: str, bucket: Bucket, clips: DemoCollection, install: Callable[..., Installation]
) -> None:
    one = install()
    ingest(one.ports, "inbox", inbox)
    key = bucket.keys(inbox.removeprefix(f"{bucket.uri}/"))[0]
    path = key.rsplit("/", 1)[1]
    before = one.rows(f"select video_id from collection_videos where path = '{path}'")
    other = sorted(clips.labelled.rglob("*.mp4"))[0]
    bucket.put(key, other)
    one.watch.fetched.clear()
    assert counts(ingest_again(one.ports, "inbox")) == (1, 5, 0, 0)
    assert one.watch.fetched == Counter({path: 1})
    after = one.rows(f"select video_id, etag from collection_videos where path = '{path}'")
    assert after[0][0] == one.ports.catalog.hash_file(other) != before[0][0] and after[0][1]


def test_an_object_removed_becomes_absent_and_an_emptied_prefix_is_not_believed(
    inbox: str, bucket: Bucket, install: Callable[..., Installation]
) -> None:
    one = install()
    ingest(one.ports, "inbox", inbox)
    keys = bucket.keys(inbox.removeprefix(f"{bucket.uri}/"))
    bucket.remove(keys[0])
    assert counts(ingest_again(one.ports, "inbox")) == (0, 5, 1, 0)
    for key in keys[1:4]:
        bucket.remove(key)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="3 of 5 known ones are gone"):
            ingest_again(one.ports, "inbox")
    for key in keys[4:]:
        bucket.remove(key)
    with pytest.raises(ConfigurationError, match="lists 0 videos"):
        ingest_again(one.ports, "inbox")
    assert one.rows("select count(*) from collection_videos where present") == [(5,)]
    assert counts(ingest_again(one.ports, "inbox", allow_missing=True)) == (0, 0, 5, 0)


def test_broken_and_empty_objects_cost_one_row_each(
    inbox: str, bucket: Bucket, install: Callable[..., Installation]
) -> None:
    one = install()
    prefix = inbox.removeprefix(f"{bucket.uri}/")
    bucket.put(f"{prefix}/empty.mp4", b"")
    bucket.put(f"{prefix}/broken.mp4", b"no video at all")
    bucket.put(f"{prefix}/notes.txt", b"not a video")
    bucket.put(f"{prefix}/.hidden/a.mp4", b"hidden")
    assert counts(ingest(one.ports, "inbox", inbox)) == (8, 0, 0, 2)
    rows = one.rows("select path, error_class from failures order by path")
    assert rows == [("broken.mp4", "Unreadable"), ("empty.mp4", "Unreadable")]


def test_strange_keys_are_read_like_any_other(
    bucket: Bucket, clips: DemoCollection, install: Callable[..., Installation]
) -> None:
    names = (
        "a b/é (1).mp4",
        "a//b.mp4",
        "ünïcode 日本.mp4",
        "per%20cent+plus.mp4",
        f"{'long' * 60}.mp4",
        "*?#.mp4",
    )
    for name, file in zip(names, sorted(clips.labelled.rglob("*.mp4")), strict=False):
        bucket.put(f"strange/{name}", file)
    one = install()
    assert counts(ingest(one.ports, "strange", f"{bucket.uri}/strange/")) == (6, 0, 0, 0)
    assert {path for (path,) in one.rows("select path from collection_videos")} == set(names)


def test_a_server_that_does_not_answer_is_told_by_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "fsspec.filesystem", lambda *_, **__: type("Down", (), {"find": _refused, "info": _refused})()
    )
    with pytest.raises(StorageUnreachable, match="s3://bucket/videos"):
        Objects().list("s3://bucket/videos")


def _refused(*_: Any, **__: Any) -> Any:
    raise ConnectionRefusedError("nobody there")


@pytest.mark.parametrize(
    "address",
    ["s3://KEY:SECRET@bucket/videos", "s3://SECRET@bucket", "s3://bucket/a?token=SECRET", "s3://b/a#SECRET"],
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(address: str, ports: Ports) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ingest(ports, "inbox", address)
    assert "SECRET" not in str(caught.value) and "environment" in caught.value.next_step
    assert ports.ledger.collections() == []


@pytest.mark.parametrize("address", ["http://host/videos", "s3://", "s3://bucket/../other", "file://host/a"])
def test_other_addresses_are_refused(address: str, ports: Ports) -> None:
    with pytest.raises(ConfigurationError, match="no address"):
        ingest(ports, "inbox", address)


def test_a_bucket_that_is_not_there_is_refused_by_name(ports: Ports, bucket: Bucket) -> None:
    with pytest.raises(ConfigurationError, match="s3://no-such-bucket/videos"):
        ingest(ports, "inbox", "s3://no-such-bucket/videos")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> Any:
        raise ImportError("Please install gcsfs")

    monkeypatch.setattr("fsspec.filesystem", missing)
    with pytest.raises(ConfigurationError) as caught:
        Objects().list("gs://bucket/videos")
    assert "vidpipe[gs]" in caught.value.next_step


def test_a_folder_by_address_is_the_folder(ports: Ports, clips: DemoCollection, tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    shutil.copytree(clips.incoming, folder)
    made = ingest(ports, "inbox", folder.as_uri())
    assert counts(ingest(ports, "inbox", folder)) == (0, made.videos, 0, 0)
    assert not (tmp_path / "home" / "staging").exists()
