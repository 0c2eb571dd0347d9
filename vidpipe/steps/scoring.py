"""Loading features and scoring them, shared by train, evaluate, promote and classify."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from torch import nn

from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.label_set_metrics import label_set_scores, over_thresholds
from vidpipe.learning.inference import predict
from vidpipe.learning.windows import Window, frames_of
from vidpipe.metrics import graded
from vidpipe.ports import Ports
from vidpipe.ports.features import FeatureStore
from vidpipe.records.features import FeatureSpec, StoredFeatures
from vidpipe.records.models import EvaluationSet, LabelledVideo, ModelVersion, Predictions, Scores, Sequences
from vidpipe.records.videos import Floats
from vidpipe.records.windows import WHOLE, Span
from vidpipe.splits import one_per_content
from vidpipe.steps.lookup import require_collection

T = TypeVar("T")


def labelled(ports: Ports, collection: str, spec: FeatureSpec) -> list[LabelledVideo]:
    """The labelled videos of a collection, one entry each, all with features of this spec.

    Raises:
        NotFound: No such collection, or no labels in it.
        ConfigurationError: Copies with different labels, or no features yet.
    """
    require_collection(ports, collection)
    videos = one_per_content(ports.ledger.features.labelled_videos(collection, spec.feature_set_id))
    if videos:
        return videos
    if not ports.ledger.sources.count_labelled(collection):
        raise NotFound(
            f"no video of {collection!r} has a label.",
            next_step=f"vidpipe ingest SOURCE --collection {collection} --manifest FILE.csv",
        )
    raise ConfigurationError(
        f"no labelled video of {collection!r} has features of set {spec.feature_set_id}.",
        next_step=f"vidpipe extract --collection {collection}",
    )


def in_order(videos: Sequence[LabelledVideo]) -> list[LabelledVideo]:
    """Sort videos in the order in which `load` gives their features."""
    return sorted(videos, key=lambda v: (v.video_id, v.span or (0.0, 0.0)))


def load(
    ports: Ports, spec: FeatureSpec, videos: Sequence[LabelledVideo], labels: Sequence[str]
) -> Sequences:
    """Read the features of labelled videos; `targets` index `labels`, or say which of them each video has."""
    index = {label: k for k, label in enumerate(labels)}
    ordered = in_order(videos)
    features = _features(ports, spec, [(v.stored, v.span) for v in ordered])
    refuse_not_finite(ordered, features)
    targets = np.array([index[v.label] for v in ordered if not v.multi_label], np.int64)
    if any(v.multi_label for v in ordered):
        targets = np.array([[label in v.names for label in labels] for v in ordered], np.int64)
    return Sequences(tuple(v.video_id for v in ordered), tuple(features), targets, tuple(labels))


def refuse_not_finite(videos: Sequence[LabelledVideo], features: Sequence[Floats]) -> None:
    """Refuse NaN and infinity: raises ConfigurationError for the first video with such features."""
    for video, values in zip(videos, features, strict=True):
        if not np.isfinite(values.sum(dtype=np.float64)):
            raise ConfigurationError(
                f"the features of {video.path} ({video.video_id[:12]}) hold NaN or infinity.",
                next_step=f"vidpipe forget {video.video_id[:12]}, then vidpipe ingest and vidpipe extract.",
            )


def _features(
    ports: Ports, spec: FeatureSpec, wanted: Sequence[tuple[StoredFeatures, Span | None]]
) -> list[Floats]:
    """Features (T, D) of videos, or of spans of them, in the order given."""
    store, spec_id = ports.store, spec.feature_set_id
    whole: dict[str, Floats] = {}
    cut: dict[tuple[str, Span], Floats] = {}
    spans: dict[StoredFeatures, list[Span]] = defaultdict(list)
    for stored, span in wanted:
        if span is not None:
            spans[stored].append(span)
    entire = [stored for stored, span in wanted if span is None]
    with ports.progress.stage(
        "read features", sum(s.n_frames for s in [*entire, *spans]), "frames"
    ) as advance:
        for video in store.read(spec_id, entire):
            whole[video.video_id] = video.values
            advance(len(video.values), len(video.values))
        for stored, some in spans.items():
            cut |= {(stored.video_id, span): x for span, x in _cut(store, spec_id, stored, some)}
            advance(stored.n_frames, stored.n_frames)
    return [whole[stored.video_id] if span is None else cut[stored.video_id, span] for stored, span in wanted]


def _cut(
    store: FeatureStore, spec_id: str, stored: StoredFeatures, spans: Sequence[Span]
) -> Iterator[tuple[Span, Floats]]:
    """Features of spans of one video, in memory proportional to the spans, not to the video.

    Raises:
        ConfigurationError: A span holds no frame.
    """
    times_s = store.times(spec_id, stored)
    ordered = sorted(spans)
    frames = [np.searchsorted(times_s, span).tolist() for span in ordered]
    for (start_s, end_s), (first, last) in zip(ordered, frames, strict=True):
        if first == last:
            raise ConfigurationError(
                f"the video {stored.video_id[:12]} shows nothing from {start_s:g} s to {end_s:g} s: its "
                f"frames are at {times_s[0]:.2f} s to {times_s[-1]:.2f} s.",
                next_step="correct start_s and end_s in the manifest and ingest it again.",
            )
    windows = [Window(*span, *where) for span, where in zip(ordered, frames, strict=True)]
    pieces = (piece.values for piece in store.pieces(spec_id, stored))
    for window, features in frames_of(windows, pieces):
        yield (window.start_s, window.end_s), features.copy()


def score(
    model: nn.Module, data: Sequences, thresholds: Sequence[float] | None = None
) -> tuple[Scores, Floats]:
    """Scores of one model on labelled data, and its probabilities (N, K).

    Thresholds are of the labels, K, where a video may have several.
    """
    given = predict(model, data.features)
    return grade(data, given, thresholds), given


def grade(data: Sequences, given: Floats, thresholds: Sequence[float] | None = None) -> Scores:
    """Scores of a model's probabilities (N, K), by the kind of the labels."""
    if thresholds is None:
        return graded(data.targets, given, data.labels)
    return label_set_scores(data.targets, given, thresholds, data.labels)


def evaluation_features(ports: Ports, version: ModelVersion, eval_set: EvaluationSet) -> list[Floats]:
    """Features (T, D) of an evaluation set's videos, in its order, as a version needs them.

    Raises:
        ConfigurationError: Some videos have none.
    """
    ids = sorted({v.video_id for v in eval_set.videos})
    spec_id = version.spec.feature_set_id
    stored = ports.ledger.features.stored_features(spec_id, ids)
    if len(stored) < len(ids):
        raise ConfigurationError(
            f"{len(ids) - len(stored)} of {len(ids)} videos of the evaluation set {eval_set.set_hash} lack "
            f"features of set {spec_id}, which version {version.version} needs.",
            next_step=f"vidpipe extract --collection {eval_set.collection}",
        )
    where = {s.video_id: s for s in stored}
    spans = [None if v.span == WHOLE else v.span for v in eval_set.videos]
    wanted = [(where[v.video_id], span) for v, span in zip(eval_set.videos, spans, strict=True)]
    return _features(ports, version.spec, wanted)


def predictions_of(
    network: nn.Module,
    labels: Sequence[str],
    features: Sequence[Floats],
    thresholds: Sequence[float] | None = None,
) -> Predictions:
    """Predictions of a network for N videos: best labels and their scores; with thresholds, all scores."""
    given = predict(network, features)  # (N, K)
    best = given.argmax(1) if len(features) else np.zeros(0, np.int64)
    top = (tuple(labels), tuple(labels[k] for k in best), given.max(1, initial=0.0))
    return Predictions(*top) if thresholds is None else Predictions(*top, given, tuple(thresholds))


Ranked = tuple[int, str, float, bool | None]
"""Rank, label, score, and whether it is over its threshold; None where a video has one label."""


def best_labels(
    labels: Sequence[str], scores: Floats, top_k: int, thresholds: Sequence[float] | None = None
) -> list[list[Ranked]]:
    """The top labels in each row of scores (N, K), and those over their thresholds, the best first."""
    order = np.argsort(-scores, axis=1, kind="stable")
    if thresholds is None:
        return [
            [(rank, labels[k], float(row[k]), None) for rank, k in enumerate(best[:top_k], start=1)]
            for row, best in zip(scores, order, strict=True)
        ]
    return [
        [
            (rank, labels[k], float(row[k]), bool(over[k]))
            for rank, k in enumerate(best, start=1)
            if rank <= top_k or over[k]
        ]
        for row, best, over in zip(scores, order, over_thresholds(scores, thresholds), strict=True)
    ]


def read_ahead(batches: Iterator[T]) -> Iterator[T]:
    """Prefetch an iterator by one item, in a thread."""
    with ThreadPoolExecutor(1, "read") as reader:
        ahead = reader.submit(next, batches, None)
        while (batch := ahead.result()) is not None:
            ahead = reader.submit(next, batches, None)
            yield batch
