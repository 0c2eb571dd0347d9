"""Features in, scores out: what train, evaluate, promote and classify have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from torch import nn

from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.inference import predict
from vidpipe.metrics import Indices, graded
from vidpipe.ports import Ports
from vidpipe.records import (
    Answers,
    EvaluationSet,
    FeatureSpec,
    Floats,
    LabelledVideo,
    ModelVersion,
    Scores,
    Sequences,
)
from vidpipe.splits import one_per_content

T = TypeVar("T")


def labelled(ports: Ports, collection: str, spec: FeatureSpec) -> list[LabelledVideo]:
    """The labelled contents of a collection, one entry each, all with features of this spec.

    Raises:
        NotFound: No such collection, or no labels in it.
        ConfigurationError: Copies with different labels, or no features yet.
    """
    if ports.ledger.collection(collection) is None:
        raise NotFound(f"no collection {collection!r}.", next_step="vidpipe collections lists them.")
    videos = one_per_content(ports.ledger.labelled_videos(collection, spec.feature_set_id))
    if videos:
        return videos
    if not ports.ledger.count_labelled(collection):
        raise NotFound(
            f"no video of {collection!r} has a label.",
            next_step=f"vidpipe ingest SOURCE --collection {collection} --manifest FILE.csv",
        )
    raise ConfigurationError(
        f"no labelled video of {collection!r} has features of set {spec.feature_set_id}.",
        next_step=f"vidpipe extract --collection {collection}",
    )


def load(
    ports: Ports, spec: FeatureSpec, videos: Sequence[LabelledVideo], labels: Sequence[str]
) -> Sequences:
    """Read the features of labelled videos; `targets` index `labels`."""
    label_of = {v.video_id: v.label for v in videos}
    index = {label: k for k, label in enumerate(labels)}
    found = {f.video_id: f.values for f in ports.store.read(spec.feature_set_id, [v.stored for v in videos])}
    ids = tuple(sorted(found))
    targets = np.array([index[label_of[i]] for i in ids], np.int64)
    return Sequences(ids, tuple(found[i] for i in ids), targets, tuple(labels))


def score(model: nn.Module, data: Sequences) -> tuple[Scores, Indices]:
    """Scores of one model on labelled data, and its predicted labels (N,), as indices."""
    given = predict(model, data.features)  # (N, K)
    return graded(data.targets, given, data.labels), given.argmax(1)


def exam_features(ports: Ports, version: ModelVersion, exam: EvaluationSet) -> list[Floats]:
    """Features (T, D) of an evaluation set's videos, in its order, as a version needs them.

    Raises:
        ConfigurationError: Some videos have none.
    """
    ids = [v.video_id for v in exam.videos]
    spec_id = version.spec.feature_set_id
    stored = ports.ledger.stored_features(spec_id, ids)
    if len(stored) < len(ids):
        raise ConfigurationError(
            f"{len(ids) - len(stored)} of {len(ids)} videos of the evaluation set {exam.set_hash} lack "
            f"features of set {spec_id}, which version {version.version} needs.",
            next_step=f"vidpipe extract --collection {exam.collection}",
        )
    found = {f.video_id: f.values for f in ports.store.read(spec_id, stored)}
    return [found[video_id] for video_id in ids]


def answer(network: nn.Module, labels: Sequence[str], features: Sequence[Floats]) -> Answers:
    """What a network says of N videos: its best label for each, and how sure it is."""
    given = predict(network, features)  # (N, K)
    best = given.argmax(1) if len(features) else np.zeros(0, np.int64)
    return Answers(tuple(labels), tuple(labels[k] for k in best), given.max(1, initial=0.0))


def best_labels(labels: Sequence[str], scores: Floats, top_k: int) -> list[list[tuple[int, str, float]]]:
    """Rank, label and score of the top labels in each row of scores (N, K), the best first."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
    return [
        [(rank, labels[k], float(row[k])) for rank, k in enumerate(best, start=1)]
        for row, best in zip(scores, order, strict=True)
    ]


def read_ahead(batches: Iterator[T]) -> Iterator[T]:
    """What the iterator gives, the next batch read while this one is scored."""
    with ThreadPoolExecutor(1, "read") as reader:
        ahead = reader.submit(next, batches, None)
        while (batch := ahead.result()) is not None:
            ahead = reader.submit(next, batches, None)
            yield batch
