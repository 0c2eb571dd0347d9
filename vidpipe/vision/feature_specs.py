"""Feature specs of the built-in backbones and of backbone files, and the sizes of their feature blocks.

Without torch, whose import takes two seconds: a home is opened with this.
"""

from __future__ import annotations

import numpy as np

from vidpipe.errors import ConfigurationError
from vidpipe.records.features import FeatureSpec, FrameTransform, KeyframeRule, Sampling
from vidpipe.records.models import FeatureLayout
from vidpipe.vision.backbone_choice import FileBackbone
from vidpipe.vision.backbone_table import DEFAULT, MapSizes, built_in
from vidpipe.vision.optical_flow import FLOW_SIZE, default_flow, mirrored_flow
from vidpipe.vision.pooling import Pooling
from vidpipe.vision.sampling import KEYFRAME_GAP_S

INTERPOLATION = "bicubic+full_chroma_int"
"""The whole frame is resized. Where the weights were trained the centre is cropped, 0.875 of the short side,
which leaves out 43 % of a 4:3 picture and 57 % of a 16:9 one; a video's events may be there. Measured by
benchmarks/accuracy.py. `full_chroma_int` (https://ffmpeg.org/ffmpeg-scaler.html) keeps colour at full
resolution: a rotated copy looks the same."""
POOLING = "average+grid+motion"


def default_spec(
    sample_fps: float, sampling: Sampling = "full", backbone: str | FileBackbone = DEFAULT
) -> FeatureSpec:
    """Default feature spec, used until a model version asks for another.

    Raises:
        ConfigurationError: No such backbone, or one of clips where only key frames are decoded.
    """
    if isinstance(backbone, FileBackbone):
        return _file_spec(backbone, backbone.fps or sample_fps, sampling)
    of = built_in(backbone)
    flow = default_flow(sample_fps) if sampling == "full" else None
    return FeatureSpec(
        sample_fps=sample_fps,
        backbone=of.name,
        weights_sha256=of.weights_sha256,
        transform=FrameTransform(of.size_px, None, INTERPOLATION),
        pooling=POOLING,
        feature_size=Pooling(POOLING, of.maps).feature_size + (FLOW_SIZE if flow else 0),
        reader=2,
        flow=flow,
        keyframes=None if sampling == "full" else KeyframeRule(KEYFRAME_GAP_S),
    )


def _file_spec(of: FileBackbone, sample_fps: float, sampling: Sampling) -> FeatureSpec:
    if of.network.clip and sampling != "full":
        raise ConfigurationError(
            f"{of.file} sees clips of {of.network.clip.frames} frames, got key frames alone.",
            next_step="unset VIDPIPE_SAMPLING.",
        )
    flow = default_flow(sample_fps) if sampling == "full" and not of.network.clip else None
    size = Pooling(of.pooling, _file_maps(of.network.channels, of.network.side)).feature_size
    return FeatureSpec(
        sample_fps=sample_fps,
        backbone=of.kind,
        weights_sha256=of.sha256,
        transform=FrameTransform(of.size_px, None, INTERPOLATION),
        pooling=of.pooling,
        feature_size=size + (FLOW_SIZE if flow else 0),
        reader=2,
        flow=flow,
        keyframes=None if sampling == "full" else KeyframeRule(KEYFRAME_GAP_S),
        network=of.network,
    )


def _file_maps(channels: int, side: int) -> MapSizes:
    """Map sizes of a file's network: its one map is the last one and the middle one."""
    return MapSizes(last=channels, middle=channels, side=side)


def block_sizes(spec: FeatureSpec) -> tuple[int, ...]:
    """Sizes of the feature blocks of a spec, in their order.

    Raises:
        ConfigurationError: Its backbone or its pooling is not known.
    """
    return pooling_of(spec).sizes + ((FLOW_SIZE,) if spec.flow else ())


def layout_of(spec: FeatureSpec) -> FeatureLayout:
    """Layout of the feature rows of a spec.

    Raises:
        ConfigurationError: Its backbone or its pooling is not known.
    """
    blocks = block_sizes(spec)
    order = pooling_of(spec).mirrored()
    if spec.flow:
        order = np.concatenate([order, len(order) + mirrored_flow()])
    says_where = bool((order != np.arange(len(order))).any())
    return FeatureLayout(blocks, order if says_where else None, pooling_of(spec).cells())


def pooling_of(spec: FeatureSpec) -> Pooling:
    """Pooling of a spec's backbone.

    Raises:
        ConfigurationError: Its backbone or its pooling is not known.
    """
    net = spec.network
    maps = _file_maps(net.channels, net.side) if net else built_in(spec.backbone).maps
    return Pooling(spec.pooling, maps)
