"""The extract step: what is wanted by several specs comes from one decode."""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import warehouse_rows

from vidpipe.adapters.media.binaries import Tools
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.ports import Ports
from vidpipe.records.features import FeatureSpec
from vidpipe.records.videos import LocalFile, PendingVideo
from vidpipe.steps import extract as step
from vidpipe.steps import plan_extraction
from vidpipe.steps.ingest import ingest
from vidpipe.steps.plan_extraction import cut, plan


@pytest.fixture
def source(ports: Ports, tmp_path: Path, clips: Any) -> Path:
    """Three clips and a file that is no video, ingested as `some`."""
    folder = tmp_path / "source"
    folder.mkdir()
    for file in sorted(clips.incoming.glob("*.mp4"))[:3]:
        (folder / file.name).write_bytes(file.read_bytes())
    bad = sorted(folder.glob("*.mp4"))[0].read_bytes()
    (folder / "half.mp4").write_bytes(bad[: len(bad) // 2])
    ingest(ports, "some", folder)
    return folder


@pytest.fixture
def old(ports: Ports) -> FeatureSpec:
    """An old champion's spec: means over the frame's centre."""
    new = ports.limits.spec
    return replace(
        new, transform=replace(new.transform, crop_share=0.875), pooling="average",
        feature_size=1280, reader=1, flow=None,
    )  # fmt: skip


@pytest.fixture
def wanted(ports: Ports, old: FeatureSpec, monkeypatch: pytest.MonkeyPatch) -> list[FeatureSpec]:
    specs = [ports.limits.spec, old]
    monkeypatch.setattr(plan_extraction, "wanted_specs", lambda ports, *, alone: list(specs))
    return specs


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file has been decoded."""
    counts: Counter[str] = Counter()
    decode = VideoFiles.decode
    monkeypatch.setattr(
        VideoFiles,
        "decode",
        lambda self, file, *rest: counts.update([file.name]) or decode(self, file, *rest),
    )
    return counts


def features(ports: Ports, spec: FeatureSpec) -> dict[str, np.ndarray]:
    ids = [v.video_id for v in ports.ledger.features.labelled_videos("some", spec.feature_set_id)]
    ids = ids or [row[0] for row in warehouse_rows(ports, "select video_id from videos")]
    stored = ports.ledger.features.stored_features(spec.feature_set_id, ids)
    return {f.video_id: f.values for f in ports.store.read(spec.feature_set_id, stored)}


def test_an_old_champions_features_and_the_new_ones_come_from_one_decode(
    ports: Ports, source: Path, wanted: list[FeatureSpec], old: FeatureSpec, decoded: Counter[str]
) -> None:
    report = step.extract(ports)

    assert (report.videos, report.skipped) == (3, 0)
    assert all(count == 1 for name, count in decoded.items() if name != "half.mp4")
    new = ports.limits.spec
    assert [x.shape[1] for x in features(ports, new).values()] == [new.feature_size] * 3
    assert [x.shape[1] for x in features(ports, old).values()] == [1280] * 3
    again = step.extract(ports)
    assert (again.videos, again.skipped) == (0, 3)


def test_only_the_spec_that_is_lacking_is_made_and_with_the_same_bits(
    ports: Ports, source: Path, wanted: list[FeatureSpec], old: FeatureSpec, make_ports: Any, tmp_path: Path
) -> None:
    together = make_ports(tmp_path / "together")
    ingest(together, "some", source)
    step.extract(together)

    wanted[:] = [old]
    step.extract(ports)
    wanted[:] = [ports.limits.spec, old]
    batches, complete = plan(ports)
    assert ([b.specs for b in batches], complete) == ([(ports.limits.spec,)], 0)
    step.extract(ports)

    for spec in wanted:
        one_by_one, at_once = features(ports, spec), features(together, spec)
        assert one_by_one.keys() == at_once.keys() and len(at_once) == 3
        assert all(np.array_equal(one_by_one[v], at_once[v]) for v in at_once)


def test_a_bad_video_is_one_failure_however_many_specs_wanted_it(
    ports: Ports, source: Path, wanted: list[FeatureSpec]
) -> None:
    (source / "half.mp4").write_bytes(b"not a video" * 100)
    ingest(ports, "some", source)
    step.extract(ports)
    failures = warehouse_rows(ports, "select path, attempts, status from failures")
    assert [(path, attempts) for path, attempts, _ in failures] == [("half.mp4", 1)]


def test_what_reader_1_misreads_is_a_failure_of_the_old_spec_and_features_of_the_new_one(
    ports: Ports, source: Path, wanted: list[FeatureSpec], old: FeatureSpec, tools: Tools
) -> None:
    subprocess.run(
        [tools.ffmpeg, "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=32x24:rate=10:duration=1",
         "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10:duration=1", "-map", "0", "-map", "1",
         "-c:v", "mpeg4", source / "preview_first.mkv"], check=True,
    )  # fmt: skip
    ingest(ports, "some", source)
    for specs in ([old, ports.limits.spec], [ports.limits.spec, old], [old]):
        wanted[:] = specs
        step.extract(ports)

    assert (len(features(ports, ports.limits.spec)), len(features(ports, old))) == (4, 3)
    failures = warehouse_rows(
        ports, "select path, error_class, attempts, status from failures where path = 'preview_first.mkv'"
    )
    assert failures == [("preview_first.mkv", "Misread", 1, "quarantined")]
    verdicts = warehouse_rows(ports, "select verdict, stream_index from videos where stream_count = 2")
    assert verdicts == [("ok", 1)]
    assert step.extract(ports).videos == 0


def test_specs_of_another_rate_are_batches_of_their_own(
    ports: Ports, source: Path, wanted: list[FeatureSpec], old: FeatureSpec
) -> None:
    wanted.append(replace(old, sample_fps=8.0))
    batches, _ = plan(ports)
    assert [[s.sample_fps for s in b.specs] for b in batches] == [[4.0, 4.0], [8.0]]


@pytest.mark.parametrize(("part_frames", "threads"), [(1, {6}), (10_000, {1})])
def test_a_video_with_a_shard_of_its_own_is_decoded_by_all_cores(
    ports: Ports, source: Path, monkeypatch: pytest.MonkeyPatch, part_frames: int, threads: set[int]
) -> None:
    """`source` is there for its side effect: three clips are ingested."""
    used: set[int] = set()
    decode = VideoFiles.decode

    def noted(self: VideoFiles, file: Path, *rest: Any) -> Any:
        used.add(rest[-2])
        return decode(self, file, *rest)

    monkeypatch.setattr(VideoFiles, "decode", noted)
    limits = replace(ports.limits, part_frames=part_frames, workers=3)
    assert step.extract(replace(ports, limits=limits)).videos == 3
    assert used == threads


def test_a_long_video_joins_no_shard_of_short_ones(ports: Ports) -> None:
    spec = ports.limits.spec

    def video(name: str, seconds: float) -> PendingVideo:
        return PendingVideo(name, LocalFile(Path(name), 1, 0, 0), seconds, None, pixels=1920 * 1080)

    videos = [video("a", 2), video("b", 2), video("long", 7200), video("c", 2)]
    shards = [[v.video_id for v in some] for some, _ in cut(videos, spec, 4096)]
    assert shards == [["a", "b"], ["long"], ["c"]]
