"""Buckets as sources: what is listed, what has changed, what is refused. On a server that speaks S3."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from buckets import Bucket, Installation, counts

from vidpipe.adapters.features.store import FeatureStore
from vidpipe.adapters.sources.buckets import BucketFolder, Objects
from vidpipe.demo.clips import DemoCollection
from vidpipe.errors import ConfigurationError, IncompatibleFeatures, StorageUnreachable
from vidpipe.ports import Ports
from vidpipe.records.features import StoredFeatures, VideoFeatures
from vidpipe.steps.ingest import ingest, ingest_again
from vidpipe.vision.feature_specs import default_spec


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
    assert ports.ledger.sources.collections() == []


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


# -- features in a bucket -------------------------------------------------------------------------

SPEC = replace(default_spec(4.0), feature_size=64)
SET = SPEC.feature_set_id


def write(store: FeatureStore, videos: int, frames: int = 30) -> list[StoredFeatures]:
    """A part; where each video's rows lie in it."""
    numbers = np.random.default_rng(0)
    stored = []
    with store.new_part(SPEC, "numerics") as part:
        for number in range(videos):
            values = numbers.normal(size=(frames, 64)).astype(np.float32)
            stored.append(StoredFeatures(f"video-{number}", part.name, part.rows, frames))
            part.append(VideoFeatures(f"video-{number}", np.arange(frames) / 4, values))
        part.commit()
    return stored


def same(
    store: FeatureStore, stored: list[StoredFeatures], other: FeatureStore, of: list[StoredFeatures]
) -> bool:
    pairs = zip(store.read(SET, stored), other.read(SET, of), strict=True)
    return all(a.video_id == b.video_id and np.array_equal(a.values, b.values) for a, b in pairs)


def test_a_part_in_a_bucket_has_the_bits_of_one_in_a_folder(bucket: Bucket, tmp_path: Path) -> None:
    far = FeatureStore(tmp_path / "far", BucketFolder(f"{bucket.uri}/store"))
    near = FeatureStore(tmp_path / "near")
    there, here = write(far, 20), write(near, 20)
    assert bucket.keys("store/") == [f"store/feature_set={SET}/{there[0].part}"]
    assert [f for f in (tmp_path / "far").rglob("*") if f.is_file()] == []
    assert same(far, there, near, here) and same(far, there[3:9:2], near, here[3:9:2])
    moved = far.rewrite(SET, there[5:])
    assert same(far, moved, near, here[5:])
    assert far.sweep({(SET, moved[0].part)}, 0)[0] == 1
    assert bucket.keys("store/") == [f"store/feature_set={SET}/{moved[0].part}"]
    with pytest.raises(IncompatibleFeatures, match=there[0].part):
        list(far.read(SET, there))


def test_one_video_of_a_large_part_is_read_by_ranges(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FeatureStore(tmp_path, BucketFolder(f"{bucket.uri}/ranges"))
    stored = write(store, 400, frames=100)
    from s3fs.core import S3File

    read: list[int] = []
    fetch = S3File._fetch_range

    def counted(file: Any, start: int, end: int) -> Any:
        read.append(end - start)
        return fetch(file, start, end)

    monkeypatch.setattr(S3File, "_fetch_range", counted)
    (found,) = store.read(SET, [stored[200]])
    whole = bucket.client.head_object(Bucket=bucket.name, Key=bucket.keys("ranges/")[0])["ContentLength"]
    assert len(found.values) == 100 and sum(read) < whole / 5 and len(read) < 8


def test_an_upload_that_fails_leaves_no_part_and_no_file(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ConnectionResetError("cut off")

    monkeypatch.setattr(fsspec.filesystem("s3", use_listings_cache=False), "put_file", broken)
    store = FeatureStore(tmp_path, BucketFolder(f"{bucket.uri}/broken"))
    with pytest.raises(StorageUnreachable, match="cut off"):
        write(store, 2)
    assert bucket.keys("broken/") == []
    assert [f for f in tmp_path.rglob("*") if f.is_file()] == []


def test_a_bucket_for_features_that_is_not_there_says_what_to_check(bucket: Bucket, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, BucketFolder("s3://no-such-bucket/features"))
    with pytest.raises(ConfigurationError, match="no-such-bucket") as caught:
        write(store, 1)
    assert "VIDPIPE_FEATURES_URI" in caught.value.next_step
