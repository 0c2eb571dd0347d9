"""Model evaluation: accuracy, macro F1 and per-label scores of a version, its parts and its baselines."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.evaluation.comparison import accuracy_interval, paired_bootstrap
from vidpipe.learning.inference import predict
from vidpipe.metrics import Indices, confusion_matrix, graded
from vidpipe.ports import Ports
from vidpipe.ports.models import ModelBundle
from vidpipe.records.models import LabelledVideo, ModelVersion, ScoredVideos, Scores, Sequences
from vidpipe.records.videos import short_hash
from vidpipe.splits import group_hash, known_column, resolve, split_columns
from vidpipe.steps import scoring
from vidpipe.steps.evaluation_log import log_evaluation
from vidpipe.steps.runs import Result

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EvaluateResult(Result):
    """Result of `vidpipe evaluate`: scores of one version on one split of one collection."""

    model: str
    version: int
    collection: str
    split: str
    n: int
    groups: int
    """Independent groups of videos: what the intervals draw from."""
    seen: int
    """Videos that the version was trained on, or of their groups: their scores are too optimistic."""
    accuracy: float
    accuracy_interval: tuple[float, float]
    """95 %, bootstrap by group."""
    macro_f1: float
    top_3: float
    calibration_error: float
    baseline: Mapping[str, float]
    """accuracy, macro_f1, top_3 and calibration_error of the better baseline."""
    baselines: Mapping[str, Mapping[str, float]]
    """The same of each baseline by name: linear heads on statistics over time, trained on the same videos."""
    parts: Mapping[str, Mapping[str, float]]
    """accuracy, macro_f1 and weight of each part of the model by name."""
    cv_accuracy: float | None
    """Of held-out training videos, when the version was trained; None in versions that did without."""
    cv_interval: tuple[float, float] | None
    """95 %, bootstrap by group."""
    gain: Mapping[str, float]
    """Accuracy over the better baseline: value, and low and high of its paired 95 % interval."""
    per_label: Mapping[str, Mapping[str, float]]
    confusion: Mapping[str, Mapping[str, int]]
    """True label to predicted label to videos, without zeros."""


def evaluate(
    ports: Ports, *, model: str | None = None, collection: str | None = None, split: str = "test"
) -> EvaluateResult:
    """Evaluate a version on a split: by default the challenger, else the champion, on its own test split.

    Raises:
        NotFound: No such version or collection.
        ConfigurationError: An empty split, or labels that the model does not know.
    """
    version = ports.registry.version(model or default_alias(ports))
    bundle = ports.registry.load(version)
    chosen = collection or version.collection
    videos = _videos(ports, version, bundle, chosen, split)
    data = scoring.load(ports, version.spec, videos, bundle.labels)
    given = predict(bundle.classifier, data.features)  # (N, K)
    mine, predicted = graded(data.targets, given, data.labels), given.argmax(1)
    scored = {name: scoring.score(part, data) for name, part in {**bundle.baselines, **bundle.parts}.items()}
    best = max(bundle.baselines, key=lambda name: (scored[name][0].accuracy, scored[name][0].macro_f1))
    theirs, of_baseline = scored[best]
    cv = bundle.cross_validation
    groups = _groups(videos, data)
    interval = accuracy_interval(predicted == data.targets, groups)
    ahead = paired_bootstrap(data.targets, predicted, of_baseline, groups, len(data.labels))
    result = EvaluateResult(
        model=version.model, version=version.version, collection=chosen, split=split,
        n=mine.n, groups=ahead.groups, seen=_seen(version, bundle, videos),
        accuracy_interval=(interval.low, interval.high), **_headline(mine),
        baseline=_headline(theirs), baselines={name: _headline(scored[name][0]) for name in bundle.baselines},
        parts={name: _part(scored[name][0], bundle.weights[name]) for name in bundle.parts},
        cv_accuracy=cv.accuracy if cv else None, cv_interval=(cv.low, cv.high) if cv else None,
        gain=asdict(ahead.accuracy),
        per_label=mine.per_label, confusion=_confusion(data, predicted),
    )  # fmt: skip
    answers = ScoredVideos(data.labels, data.targets, given)
    log_evaluation(ports, result.to_dict(), short_hash([(v.video_id, v.label) for v in videos]), answers)
    return result


def default_alias(ports: Ports, order: Sequence[str] = ("challenger", "champion")) -> str:
    """Default alias: the challenger if there is one, else the champion.

    Raises:
        NotFound: There is neither.
    """
    aliases = ports.registry.aliases()
    for alias in order:
        if alias in aliases:
            return alias
    raise NotFound(
        f"the model {ports.registry.model} has no challenger and no champion.",
        next_step="vidpipe train --collection NAME",
    )


def _videos(
    ports: Ports, version: ModelVersion, bundle: ModelBundle, collection: str, split: str
) -> list[LabelledVideo]:
    """The videos of a split, with features of the version.

    In the version's own collection the split is the one it was trained with; elsewhere it follows the column
    of the same name, and `all` takes every labelled video.
    """
    videos = scoring.labelled(ports, collection, version.spec)
    ids = _ids(version, bundle, collection, split, videos)
    chosen = [v for v in videos if v.video_id in ids]
    if not chosen:
        raise ConfigurationError(
            f"the {split} split of {collection!r} is empty.",
            next_step="pass --split all, or a collection with split columns.",
        )
    unknown = sorted({v.label for v in chosen} - set(bundle.labels))
    if unknown:
        raise ConfigurationError(
            f"version {version.version} does not know the label {unknown[0]!r} of {collection!r}; "
            f"it knows {', '.join(bundle.labels)}.",
            next_step=f"vidpipe train --collection {collection}",
        )
    return chosen


def _ids(
    version: ModelVersion,
    bundle: ModelBundle,
    collection: str,
    split: str,
    videos: list[LabelledVideo],
) -> set[str]:
    if split == "all":
        return {v.video_id for v in videos}
    if split not in ("train", "val", "test"):
        raise ConfigurationError(f"no split {split!r}.", next_step="pass --split train, val, test or all.")
    if collection == version.collection:
        return set(bundle.split_ids[split])
    column = version.split_column and known_column(split_columns(videos), version.split_column)
    return {v.video_id for v in resolve(videos, column, 0, copies="strictest").part(split)}


def _seen(version: ModelVersion, bundle: ModelBundle, videos: Sequence[LabelledVideo]) -> int:
    """Number of videos that the version was trained on, by video or group, and a warning if there are any."""
    trained_on = {*bundle.split_ids["train"], *bundle.split_ids["val"]}
    groups = set(bundle.training_groups)
    count = sum(v.video_id in trained_on or group_hash(v.group) in groups for v in videos)
    if count:
        log.warning(
            "%d of these %d videos, or others of their groups, were training videos of version %d: its "
            "scores are too optimistic", count, len(videos), version.version,
        )  # fmt: skip
    return count


def _groups(videos: Sequence[LabelledVideo], data: Sequences) -> Indices:
    """Group of each video, in the order of the data, numbered from 0."""
    of_video = {v.video_id: v.group for v in videos}
    _, numbers = np.unique([of_video[i] for i in data.video_ids], return_inverse=True)
    return numbers.astype(np.int64)


def _headline(scores: Scores) -> dict[str, float]:
    return {
        "accuracy": scores.accuracy,
        "macro_f1": scores.macro_f1,
        "top_3": scores.top_3 or 0.0,
        "calibration_error": scores.calibration_error or 0.0,
    }


def _part(scores: Scores, weight: float) -> dict[str, float]:
    return {"accuracy": scores.accuracy, "macro_f1": scores.macro_f1, "weight": weight}


def _confusion(data: Sequences, predicted: Indices) -> dict[str, dict[str, int]]:
    matrix = confusion_matrix(data.targets, predicted, len(data.labels))
    return {
        truth: {data.labels[k]: int(n) for k, n in enumerate(row) if n}
        for truth, row in zip(data.labels, matrix, strict=True)
        if row.any()
    }
