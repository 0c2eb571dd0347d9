"""Networks of timm with weights in safetensors: loaded, pooled, and refused where they do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vidpipe.errors import ConfigurationError
from vidpipe.records.videos import Pixels
from vidpipe.vision import timm_network
from vidpipe.vision.backbone_choice import named_file
from vidpipe.vision.backbone_files import read_backbone
from vidpipe.vision.backbones import load_backbone
from vidpipe.vision.feature_specs import default_spec
from vidpipe.vision.optical_flow import FLOW_SIZE

NAME = "test_byobnet"
"""Of timm's networks for tests: 0.46 million weights, 160 px."""
VIT = "test_vit"


def saved(folder: Path, name: str, toml: str = "", *, drop: str = "") -> Path:
    """Random weights of a network, and its name beside them."""
    timm = timm_network._library(folder)
    torch.manual_seed(0)
    weights = timm.create_model(name, pretrained=False).state_dict()
    file = folder / "net.safetensors"
    save_file({k: v.contiguous() for k, v in weights.items() if not drop or not k.startswith(drop)}, file)
    (folder / "net.safetensors.toml").write_text(f"timm = '{name}'\n{toml}")
    return file


def frames(side: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (4, side, side, 3), np.uint8)


def test_a_convolutional_network_gives_its_last_map_as_timm_computes_it(tmp_path: Path) -> None:
    file = saved(tmp_path, NAME)
    found = read_backbone(file)
    spec = default_spec(4.0, backbone=found)
    backbone = load_backbone(spec, find_file=lambda _: file)
    batch = frames(found.size_px)

    rows = backbone(batch)

    timm = timm_network._library(file)
    torch.manual_seed(0)
    net = timm.create_model(NAME, pretrained=False).eval()
    mean, std = net.pretrained_cfg["mean"], net.pretrained_cfg["std"]
    pixels = torch.from_numpy(((batch / 255 - mean) / std).transpose(0, 3, 1, 2).astype(np.float32))
    with torch.inference_mode():
        expected = net.forward_features(pixels).mean((2, 3)).numpy()
    assert (spec.backbone, spec.pooling) == (f"timm:{NAME}", "average+grid+motion")
    assert np.allclose(rows[:, : expected.shape[1]], expected, rtol=1e-3, atol=1e-4)
    assert f"timm-{timm.__version__}" in backbone.numerics
    again = backbone(batch[::-1].copy())
    assert np.array_equal(rows, again[::-1])


def test_a_transformer_gives_its_class_token_and_a_grid(tmp_path: Path) -> None:
    found = read_backbone(saved(tmp_path, VIT))

    assert found.pooling == "class+grid"


def test_a_vector_is_what_the_classifier_would_see_and_the_classifier_may_be_missing(tmp_path: Path) -> None:
    timm = timm_network._library(tmp_path)
    head = timm.create_model(NAME, pretrained=False).pretrained_cfg["classifier"]
    found = read_backbone(saved(tmp_path, NAME, "output = 'vector'\nlicense = 'MIT'", drop=f"{head}."))

    assert (found.pooling, found.license) == ("vector", "MIT")
    assert default_spec(4.0, backbone=found).feature_size == found.network.channels + FLOW_SIZE


@pytest.mark.parametrize(
    ("toml", "got"),
    [
        ("", r'got weights alone; expected the name of their network, timm = "resnet18"'),
        ("timm = 'resnet5000'", "got timm = 'resnet5000'; expected a network of timm"),
        ("timm = 'test_vit'", "got weights that differ at .* more; expected those of timm's test_vit"),
        (f"timm = '{NAME}'\nstride = 2", "got stride or layout"),
        (f"timm = '{NAME}'\noutput = 'tokens'", r"got output of shape .*; expected tokens"),
        (f"timm = '{NAME}'\noutput = 'logits'", "got output = 'logits'"),
    ],
)
def test_what_does_not_fit_is_named(toml: str, got: str, tmp_path: Path) -> None:
    file = saved(tmp_path, NAME)
    file.with_name("net.safetensors.toml").write_text(toml)

    with pytest.raises(ConfigurationError, match=got) as caught:
        read_backbone(file)

    assert str(file) in caught.value.message and caught.value.next_step


def test_a_file_of_another_format_is_named(tmp_path: Path) -> None:
    file = saved(tmp_path, NAME)
    file.write_bytes(b"\x80\x04 no safetensors")

    with pytest.raises(ConfigurationError, match="got no safetensors"):
        read_backbone(file)


def test_a_name_finds_its_weights_in_the_cache_and_downloads_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants, file_download

    for module in (constants, file_download):
        if hasattr(module, "HF_HUB_CACHE"):
            monkeypatch.setattr(module, "HF_HUB_CACHE", str(tmp_path))

    with pytest.raises(ConfigurationError, match="downloads nothing") as caught:
        named_file(f"timm:{NAME}")
    assert f"timm.create_model('{NAME}', pretrained=True)" in caught.value.next_step
    with pytest.raises(ConfigurationError, match="a network of timm"):
        named_file("timm:resnet5000")
    with pytest.raises(ConfigurationError, match="pickled"):
        named_file("torchvision:resnet18")


def test_without_timm_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = saved(tmp_path, NAME)

    def missing() -> None:
        raise ImportError("No module named 'torchvision'")

    monkeypatch.setattr(timm_network, "_import_torchvision", missing)

    with pytest.raises(ConfigurationError, match=r"vidpipe\[timm\]"):
        read_backbone(file)
