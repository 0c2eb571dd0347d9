"""Data-free quantization of CNN weights to bfloat16: error diffusion and bias correction.

Rounded each by itself, EfficientNet-Lite0's weights turn features by up to 6 degrees (cosine 0.995).
Two remedies; benchmarks/cnn.py has the figures:

    depthwise kernels    neighbours in a map are alike, so that an error of a kernel's sum adds up over a
                         picture where those of single taps cancel: each tap takes over the error of the one
                         before it (Floyd and Steinberg, 1976, along one line)
    projections          the mean of each input is known from the batch norm before it; times the weights'
                         errors, that is a bias to take away (Nagel et al., "Data-free quantization through
                         weight equalization and bias correction", 2019, section 4.2)
"""

from __future__ import annotations

import math

import torch
from torch import nn


def round_kernels(weight: torch.Tensor) -> torch.Tensor:
    """Round depthwise kernels (C, 1, k, k) to bfloat16 with error diffusion, so that their sums are kept."""
    taps = weight.double().flatten(1).unbind(1)
    rounded, error = [], torch.zeros_like(taps[0])
    for tap in taps:
        wanted = tap + error
        rounded.append(wanted.bfloat16().double())
        error = wanted - rounded[-1]
    return torch.stack(rounded, 1).reshape(weight.shape).float()


def corrected_bias(layer: nn.Conv2d, input_mean: torch.Tensor) -> torch.Tensor:
    """Bias correction (O,): with it, rounded weights give the exact weights' output for the mean input.

    Args:
        layer: A 1 x 1 convolution with a bias.
        input_mean: Of each input channel, (C,).
    """
    assert layer.bias is not None
    weight = layer.weight.detach().flatten(1)
    bias: torch.Tensor = layer.bias.detach() - (weight.bfloat16().float() - weight) @ input_mean
    return bias


def mean_after_relu6(norm: nn.BatchNorm2d) -> torch.Tensor:
    """Mean of ReLU6 over a batch norm's output, (C,), taken as normal with the norm's bias and weight."""
    mean, deviation = norm.bias.detach(), norm.weight.detach().abs().clamp(min=1e-6)
    return _mean_after_relu(mean, deviation) - _mean_after_relu(mean - 6, deviation)


def _mean_after_relu(mean: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
    """E max(0, X) of normal X: mean * Phi(z) + deviation * phi(z), with z = mean / deviation."""
    z = mean / deviation
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    below: torch.Tensor = torch.special.ndtr(z)
    return mean * below + deviation * density
