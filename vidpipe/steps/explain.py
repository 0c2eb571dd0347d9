"""Explain a prediction: what the label scores without each stretch of the video, and attention weights.

Leaving out speaks for the whole model, whatever its parts are; attention for the LSTM alone. Read-only, and
no video is opened: the stored features are scored again, with the same bits as in `classify`, a long video
window by window.

Source: Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (2014), section 4.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

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
STRETCHES = 10
"""A video is cut into so many of equal length, a short one into fewer: see `stretches`."""


@dataclass(frozen=True, slots=True)
class FrameWeight:
    """Attention weight of one sampled frame."""

    time_s: float
    weight: float


@dataclass(frozen=True, slots=True)
class Occlusion:
    """Score of the label by the video without a stretch of it; of a long one, without the windows there."""

    start_s: float
    end_s: float
    """Time of the first frame after it, or of the last one."""
    score: float


@dataclass(frozen=True, slots=True)
class ExplainResult(Result):
    """Result of `vidpipe explain`: best labels of one video, what they hang on, and attention weights."""

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
    without: Sequence[Occlusion]
    """In order of time; empty where nothing would be left."""


def explain(ports: Ports, video: str, *, model: str | None = None) -> ExplainResult:
    """Score one video's stored features, whole and without each stretch, and weigh each frame.

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
    look = _look(ports.store, version, bundle, stored)
    (best,) = best_labels(bundle.labels, look.scores[None], TOP, bundle.thresholds())
    top = {label: score for _, label, score, _ in best}
    holding = [label for rank, label, _, over in best if (rank == 1 if over is None else over)]
    times_s = ports.store.times(version.spec.feature_set_id, stored)
    frames = [FrameWeight(float(t), float(w)) for t, w in zip(times_s, look.weights, strict=True)]
    label, score = next(iter(top.items()))
    column, last = bundle.labels.index(label), len(times_s) - 1
    without = [
        Occlusion(float(times_s[cut.start]), float(times_s[min(cut.stop, last)]), float(found[column]))
        for cut, found in look.without
    ]
    return ExplainResult(
        version.model, version.version, chosen, label, score, holding, top, bundle.lstm_config.head,
        _note(version, bundle), frames, without,
    )  # fmt: skip


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


@dataclass(frozen=True, slots=True)
class _Look:
    """Scores (K,) of a video, attention weights (T,), and scores (K,) without each stretch of frames."""

    scores: Floats
    weights: Floats
    without: Sequence[tuple[slice, Floats]]


def _look(store: FeatureStore, version: ModelVersion, bundle: ModelBundle, video: Unscored) -> _Look:
    if video.windows is not None:
        return _look_at_windows(store, version, bundle, video)
    (whole,) = store.read(version.spec.feature_set_id, [video])
    (weights,) = attention(bundle.lstm, [whole.values])
    cuts = stretches(video.n_frames) if video.n_frames > 1 else []
    left = [np.delete(whole.values, cut, 0) for cut in cuts]
    scores, *without = predict(bundle.classifier, [whole.values, *left])
    return _Look(scores, weights, list(zip(cuts, without, strict=True)))


def _look_at_windows(
    store: FeatureStore, version: ModelVersion, bundle: ModelBundle, video: Unscored
) -> _Look:
    """Look at a long video, with one piece of it in memory at a time.

    A window is left out with the stretch that its middle lies in.
    """
    cuts, multi_label = stretches(video.n_frames), bundle.decisions is not None
    joined, weights = scores_over_windows(multi_label), np.zeros(video.n_frames, np.float32)
    without = [scores_over_windows(multi_label) for _ in cuts]
    windows = np.zeros(len(cuts), np.int64)
    for some in windows_shown(store, version.spec, [video]):
        features = [shown.features for shown in some]
        scores, seen = predict(bundle.classifier, features), attention(bundle.lstm, features)
        for shown, of_window, weight in zip(some, scores, seen, strict=True):
            first, last = shown.window.first, shown.window.last
            here = next(k for k, cut in enumerate(cuts) if (first + last - 1) // 2 < cut.stop)
            for found in (joined, *without[:here], *without[here + 1 :]):
                found.add(of_window, shown.weight)
            weights[first:last] += weight
            windows[here] += 1
    left = [
        (cut, found.value())
        for cut, found, n in zip(cuts, without, windows, strict=True)
        if n < windows.sum()
    ]
    return _Look(joined.value(), weights / windows.sum(), left)


def stretches(frames: int) -> list[slice]:
    """Stretches of nearly equal length that cover so many frames, of two frames where there are four."""
    count = max(min(STRETCHES, frames // 2), min(frames, 2))
    ends = np.linspace(0, frames, count + 1).round().astype(int).tolist()
    return [slice(first, last) for first, last in pairwise(ends)]


def _note(version: ModelVersion, bundle: ModelBundle) -> str | None:
    head = bundle.lstm_config.head
    if head != "attention":
        return (
            f"version {version.version} pools by {head!r} and does not weigh frames: their weights are all "
            "the same and say nothing about when."
        )
    if not bundle.weights["lstm"]:
        return (
            f"the LSTM has no weight in version {version.version}, whose linear parts forecast as well "
            "without it: its attention says nothing about this label."
        )
    return None
