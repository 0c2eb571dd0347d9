"""Attention figures of a training: frames of some test videos, and where the network looks."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import nn

from vidpipe.errors import VideoError
from vidpipe.learning.inference import attention
from vidpipe.ports import Ports
from vidpipe.ports.models import TrainingRun
from vidpipe.records.features import FeatureSpec
from vidpipe.records.models import AttentionStrip, LabelledVideo
from vidpipe.records.videos import StoredObject

log = logging.getLogger(__name__)

STRIPS, PICTURES = 3, 8
"""Test videos shown with their attention, and pictures of each."""


def log_attention(
    ports: Ports, mlflow_run: TrainingRun, collection: str, spec: FeatureSpec,
    test: Sequence[LabelledVideo], model: nn.Module,
) -> None:  # fmt: skip
    """Log attention figures of the first test videos of some labels; missing files have no pictures."""
    first = {video.label: video for video in reversed(test)}
    strips = []
    for label, video in sorted(first.items())[:STRIPS]:
        (found,) = ports.store.read(spec.feature_set_id, [video.stored])
        (weights,) = attention(model, [found.values])
        if pictures := _pictures(ports, collection, video, found.times_s):
            title = f"{label}: {video.path}"
            strips.append(AttentionStrip(title, found.times_s.tolist(), weights.tolist(), pictures))
    if strips:
        mlflow_run.log_attention(strips)


def _pictures(
    ports: Ports, collection: str, video: LabelledVideo, times_s: npt.NDArray[np.float64]
) -> list[tuple[float, bytes]]:
    """Pictures of a video's frames; none if the file is gone or has changed."""
    chosen = times_s[np.linspace(0, len(times_s) - 1, min(PICTURES, len(times_s))).astype(int)]
    place = ports.ledger.sources.place_of(collection, video.path)
    if place is None or isinstance(place, StoredObject):  # pictures are not worth a download
        return []
    try:
        with ports.staging.local(place) as file:
            found = ports.videos.pictures(file, chosen.tolist())
    except VideoError as error:
        log.info("no pictures of %s: %s", video.path, error)
        return []
    return [(at_s, jpeg) for at_s, jpeg in zip(chosen.tolist(), found, strict=True) if jpeg]
