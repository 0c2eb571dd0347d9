"""Backbones in ONNX files: what their graphs say, what their TOML says, and what is wrong with some."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from graphs import CHANNELS, map_graph, save_graph, tokens_graph, vector_graph
from onnx import TensorProto, helper

from vidpipe.errors import ConfigurationError, UnsafeModel, VidpipeError
from vidpipe.records.features import ClipRule, FeatureSpec, NetworkSpec
from vidpipe.records.videos import Floats, Pixels
from vidpipe.vision.backbone_choice import named_file
from vidpipe.vision.backbone_files import read_backbone
from vidpipe.vision.backbones import Backbone, load_backbone
from vidpipe.vision.decode_ahead import clips
from vidpipe.vision.feature_specs import block_sizes, default_spec
from vidpipe.vision.optical_flow import FLOW_SIZE
from vidpipe.vision.pooling import GRID

FLOW = np.zeros(FLOW_SIZE, np.float32)


def spec_of(file: Path) -> FeatureSpec:
    return default_spec(4.0, backbone=read_backbone(file))


def loaded(file: Path) -> tuple[FeatureSpec, Backbone]:
    spec = spec_of(file)
    return spec, load_backbone(spec, find_file=lambda _: file)


def frames(*shape: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def close(a: Floats, b: Floats) -> bool:
    return np.allclose(a, b, rtol=2**-10, atol=1e-4)


def beside(file: Path, text: str) -> Path:
    file.with_name(f"{file.name}.toml").write_text(text)
    return file


def test_a_map_is_pooled_to_average_grid_and_motion(tmp_path: Path) -> None:
    spec, backbone = loaded(map_graph(tmp_path / "map.onnx"))
    batch = frames(4, 96, 96)

    rows = backbone(batch)
    first, second = (backbone.features(rows[n], rows[n - 1] if n else None, FLOW) for n in range(2))

    assert (spec.backbone, spec.pooling, spec.transform.size_px) == ("onnx", "average+grid+motion", 96)
    assert block_sizes(spec) == (CHANNELS, GRID**2 * CHANNELS, GRID**2 * CHANNELS, FLOW_SIZE)
    assert first.shape == (spec.feature_size,) == (sum(block_sizes(spec)),)
    maps = rows[:, CHANNELS:].reshape(4, 6, 6, CHANNELS)
    cells = maps.reshape(4, 3, 2, 3, 2, CHANNELS).mean((2, 4)).reshape(4, -1)
    assert close(second[:CHANNELS], maps[1].mean((0, 1)))
    assert close(second[CHANNELS : CHANNELS * 10], cells[1])
    assert not first[CHANNELS * 10 : CHANNELS * 19].any()
    moved = np.abs(maps[1] - maps[0]).reshape(3, 2, 3, 2, CHANNELS).mean((1, 3)).reshape(-1)
    assert close(second[CHANNELS * 10 : CHANNELS * 19], moved)


def test_tokens_become_the_class_token_and_a_grid_of_the_patches(tmp_path: Path) -> None:
    spec, backbone = loaded(tokens_graph(tmp_path / "vit.onnx"))

    row = backbone(frames(4, 64, 64))[0]
    features = backbone.features(row, None, FLOW)

    patches = row[CHANNELS:].reshape(16, CHANNELS)
    assert (spec.pooling, spec.feature_size) == ("class+grid", CHANNELS * 10 + FLOW_SIZE)
    assert close(features[:CHANNELS], patches.max(0)), "the class token of this graph is the greatest of each"
    assert close(features[CHANNELS : 2 * CHANNELS], patches.reshape(4, 4, -1)[:2, :2].mean((0, 1)))


def test_tokens_without_a_class_token_have_their_mean_in_its_place(tmp_path: Path) -> None:
    spec, backbone = loaded(tokens_graph(tmp_path / "vit.onnx", class_token=False))

    row = backbone(frames(4, 64, 64))[0]

    assert spec.pooling == "average+grid"
    assert close(row[:CHANNELS], row[CHANNELS:].reshape(16, CHANNELS).mean(0))


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ("", lambda x: (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
        ("mean = 0\nstd = 1", lambda x: x / 255),
        ("mean = [127, 127, 127]\nstd = [128, 128, 128]", lambda x: (x - 127) / 128),
    ],
)
def test_a_vector_stays_as_it_is_and_pixels_are_normalised(
    toml: str, expected: Callable[[Any], Any], tmp_path: Path
) -> None:
    _, backbone = loaded(beside(vector_graph(tmp_path / "v.onnx"), toml))
    batch = frames(4, 64, 64)

    rows = backbone(batch)

    assert rows.shape == (4, 3)
    assert close(rows, expected(batch.astype(np.float64)).mean((1, 2)).astype(np.float32))
    assert backbone.features(rows[0], None, FLOW).tolist()[3:] == FLOW.tolist()


def test_channels_may_come_last(tmp_path: Path) -> None:
    mean = helper.make_node("ReduceMean", ["x"], ["y"], axes=[1, 2], keepdims=0)
    file = save_graph(tmp_path / "nhwc.onnx", ("batch", 64, 64, 3), [mean])
    spec, backbone = loaded(beside(file, "mean = 0\nstd = 1"))
    batch = frames(4, 64, 64)

    assert spec.network is not None
    assert spec.network.layout == "NHWC"
    assert close(backbone(batch), (batch / 255).mean((1, 2)).astype(np.float32))


@pytest.mark.parametrize("make", [map_graph, tokens_graph, vector_graph])
def test_a_frames_bits_depend_on_neither_neighbours_nor_place(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    spec, backbone = loaded(make(tmp_path / "net.onnx"))
    side = spec.transform.size_px
    one = frames(side, side)
    alone = backbone(np.stack([one, *np.zeros_like(frames(3, side, side))]))[0]
    for place in range(4):
        batch = frames(4, side, side, seed=place + 1)
        batch[place] = one
        assert np.array_equal(backbone(batch)[place], alone)


def test_five_axes_are_clips(tmp_path: Path) -> None:
    file = vector_graph(tmp_path / "c3d.onnx", ("batch", 3, 6, 32, 32))
    spec, backbone = loaded(beside(file, "mean = 0\nstd = 1\nstride = 3\nfps = 8\nlicense = 'MIT'"))
    clip = frames(1, 6, 32, 32)

    row = backbone(clip)[0]

    assert spec.clip == ClipRule(6, 3)
    assert (spec.sample_fps, spec.flow, spec.feature_size) == (8.0, None, 3)
    assert close(row, (clip[0] / 255).mean((0, 1, 2)).astype(np.float32))
    assert FeatureSpec.from_json(spec.to_json()) == spec
    assert read_backbone(file).license == "MIT"


@pytest.mark.parametrize(
    ("rule", "n", "starts", "middles"),
    [
        (ClipRule(4, 4), 8, [0, 4], [1.5, 5.5]),
        (ClipRule(4, 2), 8, [0, 2, 4], [1.5, 3.5, 5.5]),
        (ClipRule(4, 4), 6, [0, 4], [1.5, 4.5]),
        (ClipRule(4, 2), 7, [0, 2, 4], [1.5, 3.5, 5.0]),
        (ClipRule(4, 4), 1, [0], [0.0]),
        (ClipRule(2, 5), 11, [0, 5, 10], [0.5, 5.5, 10.0]),
        (ClipRule(2, 5), 4, [0], [0.5]),
    ],
)
def test_a_clip_starts_every_stride_and_the_last_repeats_the_last_frame(
    rule: ClipRule, n: int, starts: Sequence[int], middles: Sequence[float]
) -> None:
    pictures = [(float(k), np.full((2, 2, 3), k, np.uint8)) for k in range(n)]

    found = list(clips(iter(pictures), rule))

    assert [time_s for time_s, _ in found] == middles
    expected = [[min(start + k, n - 1) for k in range(rule.frames)] for start in starts]
    assert [pixels[:, 0, 0, 0].tolist() for _, pixels in found] == expected


def test_the_spec_has_the_files_hash_and_not_its_name(tmp_path: Path) -> None:
    one = map_graph(tmp_path / "one.onnx")
    two = one.with_name("two.onnx")
    two.write_bytes(one.read_bytes())

    assert spec_of(one).weights_sha256 == hashlib.sha256(one.read_bytes()).hexdigest()
    assert spec_of(one) == spec_of(two)
    assert spec_of(one).feature_set_id != spec_of(map_graph(tmp_path / "x.onnx", seed=1)).feature_set_id
    assert spec_of(one).feature_set_id != spec_of(beside(two, "mean = 0.5")).feature_set_id


def test_a_spec_of_a_built_in_backbone_says_nothing_of_files() -> None:
    assert "network" not in default_spec(4.0).to_json()


def wrong_number(file: Path) -> Path:
    mean = helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)
    shape = ("batch", 3, 64, 64)
    return save_graph(file, shape, [mean], number=TensorProto.DOUBLE, output_number=TensorProto.DOUBLE)


def whole_numbers_out(file: Path) -> Path:
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("Cast", ["m"], ["y"], to=TensorProto.INT64),
    ]
    return save_graph(file, ("batch", 3, 64, 64), nodes, output_number=TensorProto.INT64)


def two_outputs(file: Path) -> Path:
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["pooled"], axes=[2, 3], keepdims=0),
        helper.make_node("Relu", ["x"], ["last"]),
    ]
    return save_graph(file, ("batch", 3, 64, 64), nodes, outputs=("last", "pooled"))


def not_finite(file: Path) -> Path:
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("Sub", ["m", "m"], ["zero"]),
        helper.make_node("Div", ["m", "zero"], ["y"]),
    ]
    return save_graph(file, ("batch", 3, 64, 64), nodes)


def external(file: Path) -> Path:
    model = onnx.load(str(map_graph(file)))
    onnx.save(model, str(file), save_as_external_data=True, location="w.data", size_threshold=0)
    return file


def of_shape(*shape: int | str) -> Callable[[Path], Path]:
    def make(file: Path) -> Path:
        relu = helper.make_node("Relu", ["x"], ["y"])
        return save_graph(file, shape, [relu])

    return make


def text(content: bytes) -> Callable[[Path], Path]:
    def make(file: Path) -> Path:
        file.write_bytes(content)
        return file

    return make


@pytest.mark.parametrize(
    ("make", "toml", "got"),
    [
        (lambda file: file, "", "cannot be read: No such file"),
        (text(b""), "", "no graph that ONNX Runtime"),
        (text(b"\x80\x04pickle"), "", "no graph that ONNX Runtime"),
        (external, "", "weights in another file, expected one file"),
        (wrong_number, "", r"got input x of tensor\(double\); expected tensor\(float\)"),
        (whole_numbers_out, "", "got output y of int64; expected floating-point"),
        (not_finite, "", "not finite"),
        (two_outputs, "", r"got outputs 'last', 'pooled'; expected the one to read"),
        (two_outputs, 'output = "logits"', "got output = 'logits'.* expected 'last', 'pooled'"),
        (vector_graph, 'output = "map"', r"got output of shape \(1, 3\); expected map"),
        (of_shape("batch", 3, 64), "", r"got input x of shape \(batch, 3, 64\); expected \(batch, 3, height"),
        (of_shape("batch", 1, 64, 64), "", r"got input x of shape \(batch, 1, 64, 64\)"),
        (of_shape(8, 3, 64, 64), "", "expected 3 channels, and a batch of 1"),
        (of_shape("batch", 3, 64, 48), "", "got input of 64 x 48 pixels; expected a square"),
        (of_shape("batch", 3, 4, 4), "", "got input of 4 x 4 pixels"),
        (of_shape("batch", 3, "h", "w"), "", "got an input of any size.*input_px = 224"),
        (of_shape("batch", 3, "t", 64, 64), "", "got clips of any length"),
        (vector_graph, "input_px = 65", "got input_px = 65.* expected the graph's 64"),
        (vector_graph, "layout = 'NHWC'", "expected 3 channels"),
        (vector_graph, "layout = 'NCTHW'", "got layout NCTHW for the input"),
        (vector_graph, "layout = 'HWC'", "got layout = 'HWC', expected one of NCHW"),
        (vector_graph, "stride = 2", "stride .*single frames"),
        (vector_graph, "mean = 'red'", "got mean = 'red', expected three numbers"),
        (vector_graph, "std = [0.2, 0.2, 0]", "expected three numbers above 0"),
        (vector_graph, "input_size = 64", "got the key 'input_size', expected any of timm, input_px"),
        (vector_graph, "fps = -1", "expected frames a second"),
        (vector_graph, "fps", "is not TOML"),
    ],
)
def test_what_cannot_be_a_backbone_is_an_error_that_names_file_got_expected_and_next_step(
    make: Callable[[Path], Path], toml: str, got: str, tmp_path: Path
) -> None:
    file = tmp_path / "net.onnx"
    make(file)
    if toml:
        beside(file, toml)

    with pytest.raises(ConfigurationError, match=got) as caught:
        read_backbone(file)

    assert str(file) in caught.value.message
    assert caught.value.next_step
    assert "\n" not in str(caught.value)


def test_an_input_of_any_size_gets_that_of_its_toml(tmp_path: Path) -> None:
    file = vector_graph(tmp_path / "any.onnx", ("batch", 3, "height", "width"))

    spec, backbone = loaded(beside(file, "input_px = 48"))

    assert spec.transform.size_px == 48
    assert backbone(frames(4, 48, 48)).shape == (4, 3)


def test_one_of_several_outputs_is_named_in_the_toml(tmp_path: Path) -> None:
    spec, backbone = loaded(beside(two_outputs(tmp_path / "two.onnx"), 'output = "pooled"'))

    assert spec.network == NetworkSpec((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "NCHW", "pooled", 3)
    assert backbone(frames(4, 64, 64)).shape == (4, 3)


def test_without_onnx_runtime_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = map_graph(tmp_path / "map.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(ConfigurationError, match=r"vidpipe\[onnx\]") as caught:
        read_backbone(file)

    assert caught.value.next_step == "pip install 'vidpipe[onnx]'."


def test_another_file_than_the_specs_is_refused(tmp_path: Path) -> None:
    spec, other = spec_of(map_graph(tmp_path / "a.onnx")), map_graph(tmp_path / "b.onnx", seed=1)

    with pytest.raises(UnsafeModel, match=spec.weights_sha256[:16]):
        load_backbone(spec, find_file=lambda _: other)
    with pytest.raises(ConfigurationError, match="needs a backbone file"):
        load_backbone(spec)


def test_key_frames_alone_are_no_clips(tmp_path: Path) -> None:
    found = read_backbone(vector_graph(tmp_path / "c3d.onnx", ("batch", 3, 4, 32, 32)))

    with pytest.raises(ConfigurationError, match="VIDPIPE_SAMPLING"):
        default_spec(4.0, "keyframes", found)


@pytest.mark.parametrize("name", ["net.pth", "/models/net.ckpt", "models/net", "net.bin"])
def test_pickled_weights_are_refused_by_their_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"expected one that ends in \.onnx"):
        named_file(name)


def test_a_setting_names_a_backbone_or_a_file() -> None:
    assert named_file("efficientnet-lite1") is None
    assert named_file("/models/net.ONNX") == Path("/models/net.ONNX")
    with pytest.raises(VidpipeError, match="unknown backbone 'resnet'"):
        default_spec(4.0, backbone="resnet")
