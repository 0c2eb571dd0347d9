"""Collections in a bucket, on an S3 server: the same as in a folder, each object downloaded once."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from buckets import Bucket, Installation, counts
from conftest import run_python

from vidpipe.adapters.sources.buckets import Objects
from vidpipe.adapters.sources.staging import Staging
from vidpipe.demo.clips import DemoCollection
from vidpipe.errors import StorageUnreachable
from vidpipe.records.videos import Collection, LocalFile
from vidpipe.settings import load_settings
from vidpipe.steps.classify import classify
from vidpipe.steps.doctor import Line, doctor
from vidpipe.steps.extract import extract
from vidpipe.steps.forget import forget
from vidpipe.steps.gc import gc
from vidpipe.steps.ingest import ingest, ingest_again
from vidpipe.steps.nightly import nightly
from vidpipe.steps.report import _pictures
from vidpipe.steps.train import train
from vidpipe.wiring import open_home, open_probes

pytestmark = pytest.mark.services

PREDICTIONS = "select video_id, rank, label, score from predictions order by video_id, rank"
PICTURED = (
    "collection", "path", "source", "video_id", "size_bytes", "mtime_ns", "inode", "etag", "ctime_ns",
    "duration_s",
)  # fmt: skip
ROWS = """
    select i.collection, i.path, c.source, i.video_id, f.size_bytes, f.mtime_ns, f.inode, i.etag, f.ctime_ns,
        v.duration_s
    from collection_videos i join collections c using (collection) join videos v using (video_id)
    join core.collection k on k.name = i.collection
    join core.collection_video f on f.collection_key = k.collection_key and f.path = i.path limit 3
"""


# -- the same as in a folder ----------------------------------------------------------------------


def test_videos_features_and_predictions_are_those_of_the_same_files_in_a_folder(
    bucket: Bucket,
    clips: DemoCollection,
    install: Callable[..., Installation],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket.put_tree(clips.labelled, "labelled")
    bucket.put("labelled.csv", clips.manifest)
    features_uri = f"{bucket.uri}/features"
    folder, far = install("folder"), install("far", staging_bytes=700_000, features_uri=features_uri)
    sources: dict[Path, tuple[Path | str, Path | str | None]] = {
        folder.home: (clips.labelled, clips.manifest),
        far.home: (f"{bucket.uri}/labelled", None),
    }
    for one in (folder, far):
        source, manifest = sources[one.home]
        manifest = manifest or f"{bucket.uri}/labelled.csv"
        assert counts(ingest(one.ports, "clips", source, manifest=manifest)) == (24, 0, 0, 0)
        assert extract(one.ports).videos == 24
        train(one.ports, "clips", split_column="split")
        classify(one.ports, model="challenger")
    listed = "select path, video_id, label, group_name, splits from collection_videos order by path"
    assert folder.rows(listed) == far.rows(listed)
    near, distant = folder.features(), far.features()
    assert list(near) == list(distant) and len(near) == 24
    assert all(np.array_equal(near[v], distant[v]) for v in near)
    assert folder.rows(PREDICTIONS) == far.rows(PREDICTIONS)
    assert 0 < far.watch.most_bytes <= 700_000 < sum(f.stat().st_size for f in clips.labelled.rglob("*.mp4"))
    assert [name for name, _ in far.watch.staged() if not name.endswith(".csv")] == []
    assert not (folder.home / "staging").exists()
    assert len(bucket.keys("features/")) == 1  # one part, and nothing of it at home
    assert [f for f in (far.home / "features").rglob("*") if f.is_file()] == []
    far.ports.registry.set_alias("champion", 1)
    night = nightly(far.ports)  # scores nothing: its page would have no picture
    assert (night.ingested, night.extracted) == (0, 0)
    pictures = partial(
        _pictures, far.ports.videos, rows=[dict(zip(PICTURED, r, strict=True)) for r in far.rows(ROWS)]
    )
    assert all(p.jpeg for p in pictures(far.ports.staging).values())
    monkeypatch.setattr("vidpipe.steps.pictures.MAX_OBJECT_BYTES", 1_000)
    assert {p.reason for p in pictures(far.ports.staging).values()} == {"too large to fetch for a picture"}


def test_what_was_ingested_from_a_folder_is_the_same_video_in_a_bucket(
    inbox: str, clips: DemoCollection, install: Callable[..., Installation], tmp_path: Path
) -> None:
    one = install()
    copies = tmp_path / "copies"
    copies.mkdir()
    for file in sorted(clips.incoming.rglob("*.mp4"))[:6]:
        shutil.copy(file, copies)
    ingest(one.ports, "moving", copies)
    extract(one.ports)
    assert counts(ingest(one.ports, "moving", inbox, replace_source=True)) == (6, 0, 0, 0)
    assert extract(one.ports).videos == 0
    assert one.rows("select count(*) from videos") == [(6,)]


def test_a_copy_in_a_folder_spares_the_download(
    inbox: str, clips: DemoCollection, install: Callable[..., Installation]
) -> None:
    one = install()
    ingest(one.ports, "zz-folder", clips.incoming)
    ingest(one.ports, "aa-bucket", inbox)
    one.ports.staging.sweep(0)
    one.watch.fetched.clear()
    assert extract(one.ports, "aa-bucket").videos == 6  # asked for by the bucket's name: it has to come
    assert one.watch.fetched.total() == 6
    ports = install("other").ports
    ingest(ports, "aa-bucket", inbox)
    ingest(ports, "zz-folder", clips.incoming)
    pending = ports.ledger.features.pending_videos(ports.limits.spec.feature_set_id, None, retry_failed=False)
    assert all(isinstance(video.file, LocalFile) for video in pending)


# -- one download, and then none ------------------------------------------------------------------


def test_hash_probe_and_extraction_share_one_download_and_the_next_night_has_none(
    inbox: str, install: Callable[..., Installation]
) -> None:
    one = install()
    assert counts(ingest(one.ports, "inbox", inbox)) == (6, 0, 0, 0)
    assert len(one.watch.staged()) == 6
    assert extract(one.ports).videos == 6
    assert sorted(one.watch.fetched.values()) == [1] * 6
    assert one.watch.staged() == []
    one.watch.fetched.clear()
    night = nightly(one.ports)
    assert (night.ingested, night.extracted, night.problems) == (0, 0, [])
    assert counts(ingest_again(one.ports, "inbox")) == (0, 6, 0, 0)
    assert one.watch.fetched == Counter()


def test_staging_stays_under_its_bound_however_many_videos_there_are(
    inbox: str, bucket: Bucket, install: Callable[..., Installation]
) -> None:
    largest = max(found.size_bytes for found in Objects().list(inbox))
    one = install(staging_bytes=largest + 10)
    assert counts(ingest(one.ports, "inbox", inbox)) == (6, 0, 0, 0)
    assert extract(one.ports).videos == 6
    assert 0 < one.watch.most_bytes <= largest + 10


def test_a_night_with_more_new_objects_than_fit_downloads_each_once(
    inbox: str, bucket: Bucket, clips: DemoCollection, install: Callable[..., Installation]
) -> None:
    sizes = sorted(found.size_bytes for found in Objects().list(inbox))
    one = install(staging_bytes=sum(sizes) // 2 + sizes[-1])
    one.ports.ledger.sources.put_collection(Collection("inbox", inbox))
    night = nightly(one.ports)
    assert (night.ingested, night.extracted, night.failed, night.problems) == (6, 6, 0, [])
    assert sorted(one.watch.fetched.values()) == [1] * 6
    assert one.watch.most_bytes <= sum(sizes) // 2 + sizes[-1]
    assert one.rows("select count(*), count(distinct video_id) from video_features") == [(6, 6)]
    assert [kind for (kind,) in one.rows("select kind from runs where kind = 'extract'")] != ["extract"]
    assert one.watch.staged() == []


def test_an_object_larger_than_the_bound_costs_one_row(
    inbox: str, install: Callable[..., Installation]
) -> None:
    sizes = sorted(found.size_bytes for found in Objects().list(inbox))
    one = install(staging_bytes=sizes[-1] - 1)
    assert counts(ingest(one.ports, "inbox", inbox)) == (5, 0, 0, 1)
    assert extract(one.ports).videos == 5
    ((name, message),) = one.rows("select error_class, message from failures")
    assert name == "TooLarge" and f"{sizes[-1]:,}" in message


# -- what changes in the bucket -------------------------------------------------------------------


def test_an_object_replaced_between_ingest_and_extraction_is_not_taken_for_the_old_one(
    inbox: str, bucket: Bucket, clips: DemoCollection, install: Callable[..., Installation]
) -> None:
    one = install()
    ingest(one.ports, "inbox", inbox)
    one.ports.staging.sweep(0)  # else the old one would still be at hand
    key = bucket.keys(inbox.removeprefix(f"{bucket.uri}/"))[0]
    bucket.put(key, sorted(clips.labelled.rglob("*.mp4"))[0])
    extracted = extract(one.ports)
    assert (extracted.videos, extracted.failed, extracted.waiting) == (5, 0, 1)
    assert one.rows("select error_class, stage from failures") == [("StillChanging", "extract")]
    assert counts(ingest_again(one.ports, "inbox")) == (1, 5, 0, 0)
    assert extract(one.ports).videos == 1
    assert one.rows("select count(distinct video_id) from video_features") == [(6,)]


# -- killed, out of reach -------------------------------------------------------------------------


SLOW = """
    import os, signal, sys, time
    from pathlib import Path
    from vidpipe.adapters.sources.buckets import Objects

    left, verb = int(sys.argv[2]), sys.argv[1]
    download = Objects.download

    def slowly(self, wanted, file):
        global left
        left -= 1
        if left < 0:
            with file.open("r+b") as half:
                half.write(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        download(self, wanted, file)

    Objects.download = slowly
    from vidpipe.cli.main import main
    sys.argv = ["vidpipe", *sys.argv[3:]]
    main()
"""


@pytest.mark.parametrize("whole", [0, 3])
def test_a_kill_in_the_middle_of_a_download_loses_nothing(
    whole: int, inbox: str, install: Callable[..., Installation]
) -> None:
    one = install()
    killed = run_python(SLOW, "ingest", whole, "ingest", inbox, "--collection", "inbox", "--home", one.home)
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    left = one.watch.staged()
    assert [name for name, _ in left if name.endswith(".part")]
    assert ingest(one.ports, "inbox", inbox).videos == 6
    one.ports.staging.sweep(0)
    assert one.watch.staged() == []
    killed = run_python(SLOW, "extract", whole, "extract", "--home", one.home)
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert extract(one.ports).videos == 6
    assert one.rows("select count(*), count(distinct video_id) from video_features") == [(6, 6)]
    one.ports.staging.sweep(0)
    assert one.watch.staged() == []


def test_storage_out_of_reach_is_a_problem_of_one_collection_and_can_be_tried_again(
    inbox: str, clips: DemoCollection, install: Callable[..., Installation], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    one = install()
    ingest(one.ports, "far", inbox)
    ingest(one.ports, "near", clips.incoming)

    def away(*_: Any) -> Any:
        raise StorageUnreachable(f"{inbox}: gone.")

    monkeypatch.setattr(Objects, "list", away)
    night = nightly(one.ports)
    assert night.status == "failed" and len(night.problems) == 1 and "far" in night.problems[0]
    assert one.rows("select count(distinct video_id) from video_features") != [(0,)]
    monkeypatch.undo()
    assert nightly(one.ports).problems == []


def test_storage_that_is_cut_off_during_extraction_spoils_no_more_than_that(
    inbox: str, install: Callable[..., Installation]
) -> None:
    one = install()
    ingest(one.ports, "far", inbox)
    one.ports.staging.sweep(0)

    def cut_off(*_: Any) -> Any:
        raise StorageUnreachable(f"{inbox}: cut off.")

    night = nightly(replace(one.ports, staging=Staging(one.watch.folder, 1 << 30, cut_off)))
    assert (night.status, night.extracted, len(night.problems)) == ("failed", 0, 1)
    assert "cut off" in night.problems[0]
    healed = nightly(one.ports)
    assert (healed.problems, healed.extracted) == ([], 6)
    assert one.rows("select count(*) from failures") == [(0,)]


# -- the command line, erasure --------------------------------------------------------------------


def test_the_command_line_reads_a_bucket_and_its_manifest(
    bucket: Bucket, clips: DemoCollection, vidpipe: Callable[..., Any], tmp_path: Path
) -> None:
    files = sorted(clips.labelled.rglob("*.mp4"))[:3]
    for file in files:
        bucket.put(f"cli/{file.name}", file)
    with (tmp_path / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["path", "label"], *([file.name, "one"] for file in files)])
    bucket.put("cli/labels.csv", tmp_path / "labels.csv")
    ended = vidpipe("ingest", f"{bucket.uri}/cli/labels.csv", "--collection", "cli", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["videos"] == 3
    shown = vidpipe("sql", "select source, manifest from collections", "--json")
    assert json.loads(shown.stdout)["rows"] == [[f"{bucket.uri}/cli", f"{bucket.uri}/cli/labels.csv"]]
    written = [f for f in (tmp_path / "home").rglob("*") if f.is_file()]
    assert written and not any(
        os.environ["AWS_SECRET_ACCESS_KEY"].encode() in f.read_bytes() for f in written
    )


def test_a_server_that_is_away_is_said_in_one_line(
    inbox: str, vidpipe: Callable[..., Any], tmp_path: Path
) -> None:
    ended = vidpipe("ingest", inbox, "--collection", "x", "--json", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["error"]["class"] == "StorageUnreachable"
    assert "Traceback" not in ended.stderr


def test_the_doctor_asks_buckets_and_leaves_them_as_they_were(
    inbox: str, bucket: Bucket, install: Callable[..., Installation]
) -> None:
    one = install(features_uri=f"{bucket.uri}/features-of-the-doctor")
    ingest(one.ports, "inbox", inbox)
    before = bucket.keys()
    lines = examined(one)
    assert {check: lines[check][0].state for check in ("features", "sources", "staging")} == {
        "features": "ok", "sources": "ok", "staging": "ok",
    }  # fmt: skip
    assert lines["features"][0].message == f"{bucket.uri}/features-of-the-doctor can be written"
    assert bucket.keys() == before
    for key in bucket.keys(inbox.removeprefix(f"{bucket.uri}/")):
        bucket.remove(key)
    (gone,) = examined(one)["sources"]
    assert gone.state == "fix" and inbox in gone.message


def test_the_doctor_says_that_a_bucket_cannot_be_written_that_it_is_silent_that_the_disk_is_small(
    inbox: str, install: Callable[..., Installation], vidpipe: Callable[..., Any]
) -> None:
    one = install(features_uri="s3://no-such-bucket/features", staging_bytes=1 << 60)
    ingest(one.ports, "inbox", inbox)
    lines = examined(one)
    (features,) = lines["features"]
    assert features.state == "fix" and "VIDPIPE_FEATURES_URI" in str(features.next)
    assert lines["staging"][0].state == "warning"
    ended = vidpipe("doctor", "--json", "--home", str(one.home), AWS_ENDPOINT_URL="http://127.0.0.1:9")
    silent = {found["check"]: found for found in json.loads(ended.stdout)["lines"]}
    for check in ("features", "sources", "parts"):
        assert silent[check]["state"] != "ok" and "AWS_ENDPOINT_URL" in silent[check]["next"]
    assert silent["ledger"]["state"] == "ok"


def examined(one: Installation) -> dict[str, list[Line]]:
    """What the doctor says of a home, by check."""
    lines: dict[str, list[Line]] = {}
    for found in doctor(open_probes(open_home(load_settings(one.home))), wait_s=60).lines:
        lines.setdefault(found.check, []).append(found)
    return lines


def test_features_in_a_bucket_are_forgotten_and_collected_like_files(
    inbox: str, bucket: Bucket, install: Callable[..., Installation]
) -> None:
    one = install(features_uri=f"{inbox}-features")
    prefix = f"{inbox}-features".removeprefix(f"{bucket.uri}/")
    ingest(one.ports, "inbox", inbox)
    extract(one.ports)
    before, parts = one.features(), bucket.keys(prefix)
    chosen = sorted(before)[0]
    forget(one.ports, chosen)
    after = one.features()
    assert sorted(after) == sorted(before)[1:]
    assert all(np.array_equal(after[v], before[v]) for v in after)
    assert len(parts) == len(bucket.keys(prefix)) == 1 and parts != bucket.keys(prefix)
    bucket.put(f"{parts[0].rsplit('/', 1)[0]}/part-left.parquet", b"half")
    assert gc(one.ports).files == 0
    assert gc(one.ports, older_than_s=0).files == 1
    assert one.features().keys() == after.keys()


def test_forget_and_gc_leave_nothing_of_a_video_in_staging(
    inbox: str, install: Callable[..., Installation]
) -> None:
    one = install()
    ingest(one.ports, "inbox", inbox)
    ((video_id,),) = one.rows("select video_id from videos order by video_id limit 1")
    forget(one.ports, video_id)
    assert one.watch.staged() == []
