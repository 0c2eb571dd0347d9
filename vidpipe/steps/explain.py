"""Explain: why a version gives a video its label, and when in the video it looked. No video is opened.

Read-only: the stored features are scored again, to the bit as `classify` scores them, and nothing is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vidpipe.classifier import Head
from vidpipe.errors import ConfigurationError
from vidpipe.inference import attention, predict
from vidpipe.lessons import ModelVersion
from vidpipe.ports import Ports
from vidpipe.records import VideoFeatures
from vidpipe.steps.evaluate import default_alias
from vidpipe.steps.runs import Report
from vidpipe.steps.video_ids import full_id

TOP = 5


@dataclass(frozen=True, slots=True)
class FrameWeight:
    """One sampled frame and how much it weighs in the pooled state."""

    time_s: float
    weight: float


@dataclass(frozen=True, slots=True)
class ExplainReport(Report):
    """What a version says of one video, and which frames it rests on."""

    model: str
    version: int
    video_id: str
    label: str
    score: float
    top: Mapping[str, float]
    """The five best labels with their scores, the best one first."""
    head: Head
    """Only `attention` weighs frames."""
    note: str | None
    """What the weights do not say."""
    frames: Sequence[FrameWeight]
    """In order of time; the weights sum to 1."""


def explain(ports: Ports, video_id: str, *, model: str | None = None) -> ExplainReport:
    """Score one video's stored features and say how much each frame weighs.

    Args:
        ports: The outside world.
        video_id: Its hash, or the first eight or more digits.
        model: champion, challenger, or a version number; default: the champion, else the challenger.

    Raises:
        NotFound: No such video, version or alias.
        ConfigurationError: The digits fit more than one video, or it has no features that the version reads.
    """
    chosen = full_id(ports, video_id)
    version = ports.registry.version(model or default_alias(ports, ("champion", "challenger")))
    video = _features(ports, version, chosen)
    bundle = ports.registry.load(version)
    scores = predict(bundle.lstm, [video.values])[0]  # (K,)
    order = np.argsort(-scores, kind="stable")[:TOP]
    top = {bundle.labels[k]: float(scores[k]) for k in order}
    (weights,) = attention(bundle.lstm, [video.values])  # (T,)
    head = bundle.lstm_config.head
    frames = [FrameWeight(float(t), float(w)) for t, w in zip(video.times_s, weights, strict=True)]
    label, score = next(iter(top.items()))
    return ExplainReport(
        version.model, version.version, chosen, label, score, top, head, _note(version, head), frames
    )


def _features(ports: Ports, version: ModelVersion, video_id: str) -> VideoFeatures:
    spec_id = version.spec.feature_set_id
    stored = ports.ledger.stored_features(spec_id, [video_id])
    if not stored:
        raise ConfigurationError(
            f"the video {video_id[:12]} has no features of set {spec_id}, which version {version.version} "
            "needs.",
            next_step="vidpipe extract; vidpipe sql 'from failures' tells what could not be read.",
        )
    (video,) = ports.store.read(spec_id, stored)
    return video


def _note(version: ModelVersion, head: Head) -> str | None:
    if head == "attention":
        return None
    return (
        f"version {version.version} pools by {head!r} and does not weigh frames: their weights are all the "
        "same and say nothing about when."
    )
