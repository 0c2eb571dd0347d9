"""Weights in bfloat16: the errors that matter are zero, or known and taken back."""

from __future__ import annotations

import pytest
import torch
from conftest import certain
from torch import nn

from vidpipe.vision.quantization import corrected_bias, mean_after_relu6, round_kernels


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("size", [3, 5])
def test_rounded_kernels_are_bfloat16_and_keep_their_sums(size: int) -> None:
    kernels = torch.randn(200, 1, size, size) * 10
    kernels -= kernels.mean((2, 3), keepdim=True)  # large taps that cancel

    rounded = round_kernels(kernels)

    assert rounded.shape == kernels.shape
    assert torch.equal(rounded.bfloat16().float(), rounded)
    last = kernels[:, 0, -1, -1].abs()
    off = (rounded.double() - kernels.double()).sum((1, 2, 3)).abs()
    assert (off <= (last + 0.2) / 128).all(), "what is left is the last tap's own rounding"
    nearest = (kernels.bfloat16().double() - kernels.double()).sum((1, 2, 3)).abs()
    assert off.mean() < nearest.mean() / 2


def test_the_bias_makes_up_for_rounded_weights_where_inputs_are_as_expected() -> None:
    layer = nn.Conv2d(64, 8, 1)
    mean = torch.rand(64) * 6
    exact = layer(mean.reshape(1, 64, 1, 1)).flatten()

    rounded = layer.weight.detach().bfloat16().float().flatten(1) @ mean

    assert torch.allclose(rounded + corrected_bias(layer, mean), exact, atol=1e-5)
    assert not torch.allclose(rounded + certain(layer.bias), exact, atol=1e-3)


def test_the_mean_after_relu6_is_that_of_a_sample() -> None:
    norm = nn.BatchNorm2d(5)
    norm.bias.data = torch.tensor([-3.0, 0.0, 2.0, 7.0, 1.0])
    norm.weight.data = torch.tensor([1.0, -2.0, 3.0, 0.5, 0.0])

    sample = (norm.bias + torch.randn(400_000, 5) * norm.weight).clamp(0, 6).mean(0)

    assert torch.allclose(mean_after_relu6(norm), sample, atol=0.01)
