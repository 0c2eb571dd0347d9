"""OpenVINO beside the fused operators: the features of the spec, and the same bits by itself."""

from __future__ import annotations

import platform
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from vidpipe import cores
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.errors import ConfigurationError, StorageFailed
from vidpipe.records.videos import Floats, Pixels
from vidpipe.vision import lite
from vidpipe.vision.backbones import (
    Backbone,
    Backbones,
    load_backbone,
    require_backbone,
)
from vidpipe.vision.engines import Engine, chosen_engine
from vidpipe.vision.feature_specs import block_sizes, default_spec, layout_of
from vidpipe.vision.openvino_network import exact_start
from vidpipe.vision.optical_flow import FLOW_SIZE

SPEC = default_spec(4.0)
FLOW = np.zeros(FLOW_SIZE, np.float32)
NATIVE: Literal["float32", "bfloat16"] = "bfloat16" if cores.have_bfloat16() else "float32"


@pytest.fixture(scope="module")
def frames(videos: VideoFiles, shared: Path) -> Pixels:
    """Four neighbouring frames of each of twelve real videos."""
    files = sorted((shared / "ucf101").rglob("*.mp4"))[::60][:12]
    decoded = [[p for _, p in videos.decode(file, 4.0, [SPEC.view], 10.0)][:4] for file in files]
    return np.stack([pixels for of_file in decoded for pixels in of_file])


def features(backbone: Backbone, frames: Pixels) -> Floats:
    rows = np.concatenate([backbone(frames[k : k + 4]) for k in range(0, len(frames), 4)])
    before = [None if k % 4 == 0 else rows[k - 1] for k in range(len(rows))]
    return np.stack([backbone.features(row, b, FLOW) for row, b in zip(rows, before, strict=True)])


def least_cosines(a: Floats, b: Floats) -> list[float]:
    """Of average, grid and motion; frames without motion are left out there."""
    edges, found = np.cumsum([0, *block_sizes(SPEC)[:3]]), []
    for first, last in pairwise(edges):
        one, other = a[:, first:last], b[:, first:last]
        norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        found.append(float(((one * other).sum(1)[norms > 0] / norms[norms > 0]).min()))
    return found


def test_a_mirrored_picture_has_nearly_the_features_that_the_layout_says(frames: Pixels) -> None:
    backbone, order = load_backbone(SPEC, dtype="float32", engine="torch"), layout_of(SPEC).mirrored
    assert order is not None and len(order) == SPEC.feature_size
    own = features(backbone, frames)
    mirrored = features(backbone, np.ascontiguousarray(frames[:, :, ::-1]))
    average, grid, motion = least_cosines(mirrored, own[:, order])
    assert average > 0.9 and grid > 0.8 and motion > 0.95
    assert np.abs(mirrored - own[:, order]).mean() < 0.75 * np.abs(mirrored - own).mean()


def test_openvino_gives_the_features_of_the_spec(frames: Pixels) -> None:
    reference = features(load_backbone(SPEC, dtype="float32", engine="torch"), frames)

    for dtype in dict.fromkeys(("float32", NATIVE)):
        found = features(load_backbone(SPEC, dtype=dtype, engine="openvino"), frames)
        average, grid, motion = least_cosines(reference, found)
        assert average > 0.999 and grid > 0.999 and motion > 0.99, dtype


@pytest.mark.parametrize("name", ["efficientnet-lite1", "efficientnet-lite2"])
def test_it_computes_the_larger_ones_too(name: str) -> None:
    spec = default_spec(4.0, backbone=name)
    side = spec.transform.size_px
    noise = np.random.default_rng(0).integers(0, 256, (4, side, side, 3), np.uint8)

    fused, found = (load_backbone(spec, dtype="float32", engine=e)(noise) for e in ("torch", "openvino"))

    assert np.allclose(fused, found, rtol=1e-3, atol=1e-3)


def test_bits_depend_on_neither_neighbours_nor_place_nor_threads(frames: Pixels) -> None:
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            backbone = load_backbone(SPEC, engine="openvino")
            assert backbone.workers == threads
            found.append(backbone(frames[:4]))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[1], found[2])
    turned = backbone(frames[3::-1].copy())
    assert np.array_equal(turned[::-1], found[0])
    with backbone.threads() as pool:
        assert all(np.array_equal(rows, found[0]) for rows in pool.map(backbone, [frames[:4]] * 6))


def test_the_numerics_class_names_the_engine() -> None:
    openvino = load_backbone(SPEC, engine="openvino").numerics

    assert f"{NATIVE}-openvino1-20" in openvino
    assert openvino != load_backbone(SPEC, engine="torch").numerics


def test_auto_is_openvino_where_it_is_installed_and_computes_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert chosen_engine("auto", "auto") == "openvino"
    assert chosen_engine("torch", "auto") == "torch"

    with monkeypatch.context() as other:
        other.setattr(cores, "have_bfloat16", lambda: False)
        assert [chosen_engine("auto", d) for d in ("auto", "bfloat16")] == ["openvino", "torch"]
    with monkeypatch.context() as other:
        other.setattr(platform, "machine", lambda: "aarch64")
        assert chosen_engine("auto", "auto") == "torch"
    with monkeypatch.context() as other:
        other.setattr(torch.cuda, "is_available", lambda: True)
        assert chosen_engine("auto", "auto") == "torch"
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert chosen_engine("auto", "auto") == "torch"


@pytest.mark.parametrize("load", [load_backbone, require_backbone])
def test_an_engine_that_cannot_is_refused_by_name(load: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(engine: Engine, dtype: Literal["auto", "bfloat16"] = "auto") -> ConfigurationError:
        with pytest.raises(ConfigurationError) as caught:
            load(SPEC, engine=engine, dtype=dtype)  # type: ignore[operator]
        assert caught.value.next_step
        return caught.value

    assert "VIDPIPE_ENGINE=onnxruntime" in refused("onnxruntime").message
    monkeypatch.setattr(cores, "have_bfloat16", lambda: False)
    assert "avx512_bf16" in refused("openvino", "bfloat16").message
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert "vidpipe[openvino]" in refused("openvino").message


def test_on_a_gpu_batches_are_large_and_of_half_the_width(
    frames: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in: the path of a GPU, computed by the CPU in smaller batches, which are slow there."""
    some, real = frames[:8], torch.device
    reference = features(load_backbone(SPEC, dtype="float32", engine="torch"), some)
    assert lite.GPU_BATCH_FRAMES >= 64
    monkeypatch.setattr(lite, "GPU_BATCH_FRAMES", 8)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "device", lambda _name: real("cpu"))

    backbone = load_backbone(SPEC)
    rows = backbone(some)

    assert (backbone.batch_frames, backbone.workers) == (8, 1)
    assert "float16-eager" in backbone.numerics
    found = [backbone.features(rows[k], rows[k - 1] if k % 4 else None, FLOW) for k in range(len(some))]
    average, grid, motion = least_cosines(reference, np.stack(found))
    assert average > 0.999 and grid > 0.999 and motion > 0.99
    assert Backbones([backbone], [(0, 224)]).batch_frames == 8


def test_a_full_temporary_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr("openvino.save_model", full)
    with pytest.raises(StorageFailed, match="cannot write the network to") as refused:
        exact_start(None)
    assert "VIDPIPE_ENGINE=torch" in str(refused.value)
