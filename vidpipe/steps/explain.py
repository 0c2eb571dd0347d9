"""Explain a prediction by the attention weights of a video's frames.

Read-only, and no video is opened: the stored features are scored again, with the same bits as in `classify`,
a long video window by window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vidpipe.errors import ConfigurationError
from vidpipe.learning.classifier import Head
from vidpipe.learning.inference import attention, predict
from vidpipe.learning.windows import scores_over_windows
from vidpipe.ports import Ports
from vidpipe.ports.features import FeatureStore
from vidpipe.ports.models import ModelBundle
from vidpipe.records.features import Unscored
from vidpipe.records.models import ModelVersion
from vidpipe.records.videos import Floats
from vidpipe.steps.evaluate import default_alias
from vidpipe.steps.lookup import video_named
from vidpipe.steps.runs import Result
from vidpipe.steps.scoring import best_labels
from vidpipe.steps.window_scores import windows_shown

TOP = 5


@dataclass(frozen=True, slots=True)
class FrameWeight:
    """Attention weight of one sampled frame."""

    time_s: float
    weight: float


@dataclass(frozen=True, slots=True)
class ExplainResult(Result):
    """Result of `vidpipe explain`: best labels of one video, and the attention weights of its frames."""

    model: str
    version: int
    video_id: str
    label: str
    score: float
    labels: Sequence[str]
    """Labels that hold: the best one, or where a video may have several, those over their thresholds."""
    top: Mapping[str, float]
    """The five best labels with their scores, the best one first, and all that hold."""
    head: Head
    """Only `attention` weighs frames."""
    note: str | None
    """What the weights do not say."""
    frames: Sequence[FrameWeight]
    """In order of time; the weights sum to 1."""


def explain(ports: Ports, video: str, *, model: str | None = None) -> ExplainResult:
    """Score one video's stored features and return the attention weight of each frame.

    Args:
        ports: The outside world.
        video: Its hash or the first eight or more digits, a path in a collection, or a file with its bytes.
        model: champion, challenger, or a version number; default: the champion, else the challenger.

    Raises:
        NotFound: No such video, version or alias.
        ConfigurationError: The digits or the path fit more than one video, or it has no features that the
            version reads.
    """
    chosen = video_named(ports, video)
    version = ports.registry.version(model or default_alias(ports, ("champion", "challenger")))
    stored = _stored(ports, version, chosen)
    bundle = ports.registry.load(version)
    scores, weights = _look(ports.store, version, bundle, stored)
    (best,) = best_labels(bundle.labels, scores[None], TOP, bundle.thresholds())
    top = {label: score for _, label, score, _ in best}
    holding = [label for rank, label, _, over in best if (rank == 1 if over is None else over)]
    head = bundle.lstm_config.head
    times_s = ports.store.times(version.spec.feature_set_id, stored)
    frames = [FrameWeight(float(t), float(w)) for t, w in zip(times_s, weights, strict=True)]
    label, score = next(iter(top.items()))
    return ExplainResult(
        version.model, version.version, chosen, label, score, holding, top, head, _note(version, head), frames
    )


def _stored(ports: Ports, version: ModelVersion, video_id: str) -> Unscored:
    spec_id = version.spec.feature_set_id
    stored = ports.ledger.features.stored_features(spec_id, [video_id])
    if not stored:
        raise ConfigurationError(
            f"the video {video_id[:12]} has no features of set {spec_id}, which version {version.version} "
            "needs.",
            next_step="vidpipe extract; vidpipe sql 'from failures' tells what could not be read.",
        )
    (found,) = stored
    return Unscored(
        video_id, found.part, found.row_offset, found.n_frames, ports.ledger.predictions.windows_of(video_id)
    )


def _look(
    store: FeatureStore, version: ModelVersion, bundle: ModelBundle, video: Unscored
) -> tuple[Floats, Floats]:
    """Scores (K,) and attention weights (T,), joined over windows, with one piece in memory at a time."""
    if video.windows is None:
        (whole,) = store.read(version.spec.feature_set_id, [video])
        (weights,) = attention(bundle.lstm, [whole.values])
        return predict(bundle.classifier, [whole.values])[0], weights
    joined, weights, windows = (
        scores_over_windows(bundle.decisions is not None),
        np.zeros(video.n_frames, np.float32),
        0,
    )
    for some in windows_shown(store, version.spec, [video]):
        features = [shown.features for shown in some]
        for shown, scores, seen in zip(
            some, predict(bundle.classifier, features), attention(bundle.lstm, features), strict=True
        ):
            joined.add(scores, shown.weight)
            weights[shown.window.first : shown.window.last] += seen
        windows += len(some)
    weights /= windows
    return joined.value(), weights


def _note(version: ModelVersion, head: Head) -> str | None:
    if head == "attention":
        return None
    return (
        f"version {version.version} pools by {head!r} and does not weigh frames: their weights are all the "
        "same and say nothing about when."
    )
