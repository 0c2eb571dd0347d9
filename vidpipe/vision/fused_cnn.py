"""EfficientNet-Lite inference on the CPU by fused oneDNN convolutions (batch norm, padding, ReLU6, shortcut).

Eager PyTorch runs a network layer by layer: it pads a copy, convolves, clips, adds the shortcut, each
a pass over memory. Here batch norms are folded into the weights, weights are laid out once for the batch's
shape, and padding, ReLU6 and the shortcut's sum happen inside the convolution. Measured on two cores with
AVX-512: 1.4 times the frames a second of eager mode in float32, with the same bits; no compiler is needed,
and it starts at once. These are the operators to which torch.compile lowers a frozen network
(torch/_inductor/fx_passes/mkldnn_fusion.py).

The bits do not depend on the number of threads, as those of eager mode do.

Of a bfloat16 network the stem and the first depthwise convolution compute in float32: its kernels are large
and cancel, so that they would magnify the rounding of the stem's map. This is free, as the conversion
between the two falls away. The other weights are rounded as in quantization.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from vidpipe.vision.quantization import corrected_bias, round_kernels

REVISION = 2
"""Counts up when the arithmetic changes: features of two revisions may differ in their last bits."""
_RELU6: tuple[str, list[float]] = ("hardtanh", [0.0, 6.0])
_LINEAR: tuple[str, list[float]] = ("none", [])


def can_fuse() -> bool:
    """Whether this PyTorch has the operators."""
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(available) and hasattr(torch.ops.mkldnn, "_convolution_pointwise")


class Convolution:
    """One convolution with its padding, bias and ReLU6, for one input shape."""

    def __init__(self, layer: nn.Conv2d, x: torch.Tensor, *, dtype: torch.dtype, relu6: bool) -> None:
        """Lay the weights out for inputs of x's shape, (B, C, H, W), and compute in `dtype`."""
        x = x.to(dtype)
        left, right, top, bottom = getattr(layer.static_padding, "padding", (0, 0, 0, 0))
        assert (left, right) == (top, bottom)
        assert layer.bias is not None
        weight, bias = layer.weight.detach(), layer.bias.detach()
        if dtype == torch.bfloat16 and layer.groups > 1:
            weight = round_kernels(weight)
        elif dtype == torch.bfloat16 and (mean := getattr(layer, "input_mean", None)) is not None:
            bias = corrected_bias(layer, mean)
        self._dtype, self._groups, self._stride = dtype, layer.groups, list(layer.stride)
        self._ahead = None
        if left != right and layer.groups > 1:
            # A kernel with rows of zeros in front takes the same padding on all sides: a copy less.
            weight = functional.pad(weight, (right - left, 0, right - left, 0))
            left = right
        elif left != right:
            self._ahead = (left, right, top, bottom)
            x = functional.pad(x, self._ahead)
            left = 0
        self._padding = [left, left]
        layout: Any = torch._C._nn.mkldnn_reorder_conv2d_weight  # PyTorch's stub of it lacks the arguments
        self._weight: torch.Tensor = layout(
            weight.to(dtype).to_mkldnn(), self._padding, self._stride, [1, 1], self._groups, list(x.shape)
        )
        self._bias = bias  # float32 whatever the weights are: it costs nothing
        self._sum_bias = bias.to(dtype)  # but where a sum is fused, oneDNN wants one dtype
        self._relu6 = relu6

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The convolution of x, with ReLU6 if it has one."""
        x = x.to(self._dtype)
        if self._ahead:
            x = functional.pad(x, self._ahead)
        after, bounds = _RELU6 if self._relu6 else _LINEAR
        result: torch.Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self._weight, self._bias, self._padding, self._stride, [1, 1], self._groups, after, bounds, ""
        )
        return result

    def add_to(self, shortcut: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Convolve and add to `shortcut` in place, which has this convolution's dtype."""
        result: torch.Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
            shortcut, x, self._weight, self._sum_bias, self._padding, self._stride, [1, 1], self._groups,
            "add", 1.0, None, [], None,
        )  # fmt: skip
        return result


@dataclass(frozen=True, slots=True)
class _Block:
    expand: Convolution | None
    depthwise: Convolution
    project: Convolution
    has_shortcut: bool

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        wide = self.expand(x) if self.expand else x
        wide = self.depthwise(wide)
        return self.project.add_to(x, wide) if self.has_shortcut else self.project(wide)


class FusedTrunk:
    """CNN up to its last feature map in fused operators, for batches of one shape on the CPU."""

    @torch.inference_mode()
    def __init__(
        self, net: Any, shape: tuple[int, int, int, int], dtype: torch.dtype, middle: int | None = None
    ) -> None:
        """Fuse an EfficientNet-Lite whose batch norms have been folded; projections know their `input_mean`.

        Args:
            net: The network of efficientnet_lite_pytorch.
            shape: Of every batch, (B, 3, H, W).
            dtype: float32, or bfloat16 for all but the stem and the first depthwise convolution.
            middle: The block whose map is wanted besides the last one, if any.
        """
        self._middle = middle
        x = torch.zeros(shape).to(memory_format=torch.channels_last)
        self._stem = Convolution(net._conv_stem, x, dtype=torch.float32, relu6=True)
        x = self._stem(x)
        self._blocks: list[_Block] = []
        for block in net._blocks:
            self._blocks.append(_fuse_block(block, x, dtype))
            x = self._blocks[-1](x)
        self._head = Convolution(net._conv_head, x, dtype=dtype, relu6=True)

    def __call__(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The last feature map (B, D, h, w), and the middle one if wanted.

        Args:
            pixels: Normalised, float32 (B, 3, H, W) in channels-last memory.
        """
        x, middle = self._stem(pixels), None
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number == self._middle:
                middle = x.clone()  # the next block may add to it in place
        return self._head(x), middle


def _fuse_block(block: Any, x: torch.Tensor, dtype: torch.dtype) -> _Block:
    wide, expand = x, None
    if block._block_args.expand_ratio != 1:
        expand = Convolution(block._expand_conv, wide, dtype=dtype, relu6=True)
        wide = expand(wide)
    first = expand is None
    depthwise = Convolution(block._depthwise_conv, wide, dtype=torch.float32 if first else dtype, relu6=True)
    wide = depthwise(wide)
    project = Convolution(block._project_conv, wide, dtype=dtype, relu6=False)
    return _Block(expand, depthwise, project, project(wide).shape == x.shape)
