"""EfficientNet-Lite in PyTorch: checked weights, batch norms folded, layers fused on the CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vidpipe import cores
from vidpipe.records.videos import Floats, Pixels
from vidpipe.vision.backbone_table import BuiltIn, checked_weights
from vidpipe.vision.engines import Dtype
from vidpipe.vision.fused_cnn import REVISION, FusedTrunk, can_fuse
from vidpipe.vision.pooling import Pooling
from vidpipe.vision.quantization import mean_after_relu6

BATCH_FRAMES = 4
"""Small enough for the activations to stay in a core's cache: 16 runs at 0.8 of the speed."""
GPU_BATCH_FRAMES = 64
"""Of as many videos as it takes: a GPU is idle between small batches."""


class LiteNetwork:
    """A loaded EfficientNet-Lite: frames to activations.

    Attributes:
        batch_frames: B, the only batch size it computes.
        workers: Batches computed side by side, one core each: 1.2 to 1.3 times as fast as all cores on one.
        numerics: Device, arithmetic and library that its bits depend on.
    """

    def __init__(self, of: BuiltIn, weights_sha256: str, pooling: Pooling, dtype: Dtype) -> None:
        """Load on the GPU where there is one; `auto`: see `best_dtype`.

        Raises:
            ConfigurationError: Its package is not installed.
            UnsafeModel: The installed weights are others.
        """
        cores.keep_freed_memory()
        self._pooling = pooling
        gpu = torch.cuda.is_available()
        self._device = device = torch.device("cuda" if gpu else "cpu")
        chosen = getattr(torch, best_dtype(gpu=gpu) if dtype == "auto" else dtype)
        fused = not gpu and can_fuse()
        self.batch_frames = GPU_BATCH_FRAMES if gpu else BATCH_FRAMES
        self.workers = cores.count() if fused else 1
        shape = (BATCH_FRAMES, 3, of.size_px, of.size_px)
        middle = of.middle_block if pooling.needs_middle else None
        net = load_net(of, weights_sha256)
        self._trunk = (
            FusedTrunk(net, shape, chosen, middle) if fused else EagerTrunk(net, device, chosen, middle)
        )
        self._mean, self._std = of.mean[0], of.std[0]  # the same in each channel
        kind = f"cpu-{torch.backends.cpu.get_cpu_capability()}" if device.type == "cpu" else device.type
        engine = f"fused{REVISION}" if fused else "eager"
        computed = str(chosen).removeprefix("torch.")
        self.numerics = f"{kind}-{computed}-{engine}-as-float16/torch-{torch.__version__}"

    @torch.inference_mode()
    def __call__(self, frames: Pixels) -> Floats:
        """Activations of one full batch, float32 (B, R), of frames uint8 (B, H, W, 3)."""
        pixels = self._on_device(torch.from_numpy(frames)).permute(0, 3, 1, 2)  # a channels_last view
        return self._pooling.activations(*self._trunk(pixels.float().sub_(self._mean).div_(self._std)))

    def _on_device(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames as bytes, a quarter of what floats would be, by way of page-locked memory to a GPU."""
        if self._device.type == "cpu":
            return frames
        return frames.pin_memory().to(self._device, non_blocking=True)


class EagerTrunk:
    """CNN up to its last feature map in eager PyTorch: on a GPU, or where fused operators are missing."""

    def __init__(self, net: nn.Module, device: torch.device, dtype: torch.dtype, middle: int | None) -> None:
        self._dtype = dtype
        self._net: Any = net.to(device, dtype, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._seen: list[torch.Tensor] = []
        self._wants_middle = middle is not None
        if middle is not None:
            self._net._blocks[middle].register_forward_hook(lambda _block, _x, y: self._seen.append(y))

    def __call__(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Last feature map, and the middle one if wanted, of normalised pixels, float32 (B, 3, H, W)."""
        last: torch.Tensor = self._net.extract_features(pixels.to(self._dtype))
        return last, self._seen.pop() if self._wants_middle else None


def best_dtype(*, gpu: bool) -> Dtype:
    """Dtype that `auto` stands for: float16 on a GPU, bfloat16 on a CPU that computes in it, else float32.

    float16 has eleven bits where bfloat16 has eight: unlike that it needs no correction to stay within the
    class, and ReLU6 keeps maps within its range.
    """
    if gpu:
        return "float16"
    return "bfloat16" if can_fuse() and cores.have_bfloat16() else "float32"


def load_net(of: BuiltIn, weights_sha256: str) -> nn.Module:
    """Load the network with its batch norms folded.

    Raises:
        ConfigurationError: Its package is not installed.
        UnsafeModel: The installed weights are others.
    """
    from efficientnet_lite_pytorch import EfficientNet

    file = checked_weights(of, weights_sha256)
    net = EfficientNet.from_name(of.name)
    net.load_state_dict(torch.load(file, weights_only=True))
    net.eval()
    for module in [net, *net._blocks]:
        _fold_batch_norms(module)
    loaded: nn.Module = net
    return loaded


def _fold_batch_norms(module: nn.Module) -> None:
    """Fold each convolution's batch norm into it: fewer passes, and no rounding of the norm in bfloat16.

    A norm also tells what comes after it: a projection's `input_mean`, see quantization.py.
    """
    projection, before = getattr(module, "_project_conv", None), getattr(module, "_bn1", None)
    if isinstance(projection, nn.Conv2d) and isinstance(before, nn.BatchNorm2d):
        projection.register_buffer("input_mean", mean_after_relu6(before))
    pairs = {
        "_conv_stem": "_bn0", "_conv_head": "_bn1",
        "_expand_conv": "_bn0", "_depthwise_conv": "_bn1", "_project_conv": "_bn2",
    }  # fmt: skip
    for conv_name, norm_name in pairs.items():
        conv, norm = getattr(module, conv_name, None), getattr(module, norm_name, None)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
            setattr(module, norm_name, nn.Identity())
