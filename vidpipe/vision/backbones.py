"""Pretrained backbones, frozen, that turn frames into feature vectors: by name, or from a file.

Each has its own preprocessing. A backbone always computes batches of one fixed shape, so that a frame's
features have the same bits whatever frames it shares a batch with, and wherever it stands in it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import numpy as np

from vidpipe import cores
from vidpipe.errors import ConfigurationError
from vidpipe.records.features import FeatureSpec
from vidpipe.records.videos import Floats, Pixels, consecutive_slices
from vidpipe.vision.backbone_choice import TIMM
from vidpipe.vision.backbone_table import built_in, checked_weights
from vidpipe.vision.engines import Dtype, Engine, check_engine_of_file, chosen_engine
from vidpipe.vision.feature_specs import pooling_of
from vidpipe.vision.lite import BATCH_FRAMES, LiteNetwork
from vidpipe.vision.onnx_network import OnnxNetwork
from vidpipe.vision.openvino_network import OpenVinoNetwork, check_openvino
from vidpipe.vision.optical_flow import numerics as flow_numerics
from vidpipe.vision.pooling import Pooling
from vidpipe.vision.timm_network import TimmNetwork

log = logging.getLogger(__name__)


class Network(Protocol):
    """Protocol of a loaded network: frames to activations, in batches of one size."""

    workers: int
    numerics: str

    def __call__(self, frames: Pixels) -> Floats:
        """Activations (B, R) of one full batch."""
        ...


class Backbone:
    """A loaded backbone: `backbone(frames)` gives activations, `features(…)` pools those of one frame.

    Attributes:
        batch_frames: B, the only batch size it computes.
        workers: Batches computed side by side, one core each.
        numerics: Device, arithmetic and library that its bits depend on.
    """

    def __init__(
        self, network: Network, pooling: Pooling, batch_frames: int = BATCH_FRAMES, *, has_flow: bool = False
    ) -> None:
        self._network, self._pooling, self._has_flow = network, pooling, has_flow
        self.activation_size = pooling.activation_size
        self.batch_frames, self.workers = batch_frames, network.workers
        self.numerics = f"{network.numerics}/{flow_numerics()}" if has_flow else network.numerics

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

    def __call__(self, frames: Pixels) -> Floats:
        """Activations of one full batch: see pooling.py.

        Args:
            frames: uint8 (B, H, W, 3), or clips (B, T, H, W, 3); RGB, resized by the spec's transform.

        Returns:
            float32 (B, R).
        """
        return self._network(frames)


class Backbones:
    """Backbones of several specs that share one decode of a video.

    Activations and features are those of the backbones, concatenated.
    """

    def __init__(self, backbones: Sequence[Backbone], places: Sequence[tuple[int, int]]) -> None:
        """Join backbones that take batches of one size.

        Args:
            backbones: One for each spec.
            places: For each of them, first row and side of the view of a frame that it looks at.
        """
        self._backbones, self._places = backbones, places
        self.batch_frames = max(backbone.batch_frames for backbone in backbones)  # files take any size
        self.workers = max(b.workers for b in backbones)
        self._slices = consecutive_slices([b.activation_size for b in backbones])

    def threads(self) -> AbstractContextManager[Executor]:
        """Thread pool in which batches are computed in parallel."""
        return max(self._backbones, key=lambda b: b.workers).threads()

    def __call__(self, frames: Pixels) -> Floats:
        """Activations of one full batch, float32 (B, R).

        Args:
            frames: uint8 (B, H, W, 3), or (B, T, H, W, 3): the views, one below the other.
        """
        found = [
            backbone(np.ascontiguousarray(frames[..., top : top + side, :side, :]))
            for backbone, (top, side) in zip(self._backbones, self._places, strict=True)
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


def load_backbone(
    spec: FeatureSpec,
    *,
    dtype: Dtype = "auto",
    engine: Engine = "auto",
    find_file: Callable[[FeatureSpec], Path] | None = None,
) -> Backbone:
    """Load the backbone that a spec names, on the GPU where there is one.

    Args:
        spec: Which one, and how it is fed and read.
        dtype: Arithmetic of a built-in backbone; `auto` is bfloat16 on a CPU that computes in it.
        engine: What computes it: see engines.py.
        find_file: Finds a backbone that is a file.

    Raises:
        ConfigurationError: This vidpipe does not know the spec's backbone or pooling, or lacks a package.
        UnsafeModel: The weights that are here are not those of the spec.
    """
    pooling, has_flow = pooling_of(spec), spec.flow is not None
    if spec.network is None:
        kind = OpenVinoNetwork if chosen_engine(engine, dtype) == "openvino" else LiteNetwork
        lite: LiteNetwork | OpenVinoNetwork = kind(
            built_in(spec.backbone), spec.weights_sha256, pooling, dtype
        )
        log.info("backbone %s: %s", spec.backbone, lite.numerics)
        return Backbone(lite, pooling, lite.batch_frames, has_flow=has_flow)
    check_engine_of_file(engine, spec)
    of_file = TimmNetwork if spec.backbone.startswith(TIMM) else OnnxNetwork
    return Backbone(
        of_file(_file_of(spec, find_file), spec), pooling, 1 if spec.clip else BATCH_FRAMES, has_flow=has_flow
    )


def require_backbone(
    spec: FeatureSpec,
    *,
    dtype: Dtype = "auto",
    engine: Engine = "auto",
    find_file: Callable[[FeatureSpec], Path] | None = None,
) -> None:
    """Check, without loading it, that a spec's backbone is here and can be computed; see `load_backbone`.

    Raises:
        ConfigurationError: Its package, its file or its engine is not.
        UnsafeModel: Its weights are others.
    """
    if spec.network is None:
        checked_weights(built_in(spec.backbone), spec.weights_sha256)
        if engine != "auto" and chosen_engine(engine, dtype) == "openvino":
            check_openvino(dtype)
    else:
        check_engine_of_file(engine, spec)
        _file_of(spec, find_file)


def _file_of(spec: FeatureSpec, find_file: Callable[[FeatureSpec], Path] | None) -> Path:
    if find_file is None:
        raise ConfigurationError(
            f"feature set {spec.feature_set_id} needs a backbone file, SHA-256 {spec.weights_sha256[:16]}….",
            next_step="use it in the home whose features were made with it.",
        )
    return find_file(spec)
