"""Model evaluation: accuracy, macro F1 and per-label scores of a version, its parts and its baselines."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.evaluation import label_set_evidence
from vidpipe.evaluation.comparison import Difference, accuracy_interval, paired_bootstrap
from vidpipe.evaluation.label_set_evidence import Contender
from vidpipe.metrics import Indices, confusion_matrix
from vidpipe.ports import Ports
from vidpipe.ports.models import ModelBundle
from vidpipe.records.models import OF_SETS, LabelledVideo, ModelVersion, ScoredVideos, Scores, Sequences
from vidpipe.records.videos import Floats, short_hash
from vidpipe.splits import group_hash, known_column, names_of, resolve, split_columns
from vidpipe.steps import scoring
from vidpipe.steps.evaluation_log import log_evaluation
from vidpipe.steps.label_kinds import refuse_other_kind
from vidpipe.steps.lookup import require_collection
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
    """True label to predicted label to videos, without zeros; empty where a video may have several."""
    mean_average_precision: float | None = None
    micro_f1: float | None = None
    """Where a video may have several labels. There `accuracy` is the share of videos with all of them right,
    `top_3` the share of true labels among their video's three best, `gain` that of mean average precision."""

    def to_dict(self) -> dict[str, Any]:
        """The `--json` object, without what is of the other kind of version."""
        found = Result.to_dict(self)
        return {k: v for k, v in found.items() if v is not None or k not in OF_SETS}


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
    require_collection(ports, chosen)
    refuse_other_kind(ports, version, chosen)
    videos = _videos(ports, version, bundle, chosen, split)
    data = scoring.load(ports, version.spec, videos, bundle.labels)
    mine, given = scoring.score(bundle.classifier, data, bundle.thresholds())
    scored = {
        name: scoring.score(part, data, bundle.thresholds(name))
        for name, part in {**bundle.baselines, **bundle.parts}.items()
    }
    best = max(bundle.baselines, key=lambda name: (scored[name][0].headline, scored[name][0].macro_f1))
    theirs, of_baseline = scored[best]
    cv = bundle.cross_validation
    groups = _groups(videos, data)
    interval = accuracy_interval(_right(data, given, bundle.thresholds()), groups)
    ahead = _ahead(data, (given, bundle.thresholds()), (of_baseline, bundle.thresholds(best)), groups)
    result = EvaluateResult(
        model=version.model, version=version.version, collection=chosen, split=split,
        n=mine.n, groups=ahead.groups, seen=_seen(version, bundle, videos),
        accuracy_interval=(interval.low, interval.high), **_headline(mine),
        baseline=_headline(theirs), baselines={name: _headline(scored[name][0]) for name in bundle.baselines},
        parts={name: _part(scored[name][0], bundle.weights[name]) for name in bundle.parts},
        cv_accuracy=cv.accuracy if cv else None, cv_interval=(cv.low, cv.high) if cv else None,
        gain=asdict(ahead.headline),
        per_label=mine.per_label, confusion=_confusion(data, given),
    )  # fmt: skip
    answers = ScoredVideos(data.labels, data.targets, given)
    log_evaluation(ports, result.to_dict(), short_hash([(v.video_id, v.label) for v in videos]), answers)
    return result


Decided = tuple[Floats, Sequence[float] | None]
"""Probabilities (N, K), and thresholds where a video may have several labels."""


def _right(data: Sequences, given: Floats, thresholds: Sequence[float] | None) -> npt.NDArray[np.bool_]:
    """Whether each video's label is right, or all of its labels, (N,)."""
    if thresholds is None:
        right: npt.NDArray[np.bool_] = given.argmax(1) == data.targets
        return right
    return Contender(data.targets, given, thresholds).right


def _ahead(data: Sequences, mine: Decided, theirs: Decided, groups: Indices) -> Difference:
    """Paired differences of two models' scores."""
    if mine[1] is None or theirs[1] is None:
        best, other = mine[0].argmax(1), theirs[0].argmax(1)
        return paired_bootstrap(data.targets, best, other, groups, len(data.labels))
    one, two = Contender(data.targets, mine[0], mine[1]), Contender(data.targets, theirs[0], theirs[1])
    return label_set_evidence.paired_bootstrap(one, two, groups)


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
    unknown = sorted(names_of(chosen) - set(bundle.labels))
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


def _headline(scores: Scores) -> dict[str, Any]:
    return {
        "accuracy": scores.accuracy,
        "macro_f1": scores.macro_f1,
        "top_3": scores.top_3 or 0.0,
        "calibration_error": scores.calibration_error or 0.0,
        **scores.of_sets(),
    }


def _part(scores: Scores, weight: float) -> dict[str, float]:
    return {
        "accuracy": scores.accuracy, "macro_f1": scores.macro_f1, **scores.of_sets(), "weight": weight
    }  # fmt: skip


def _confusion(data: Sequences, given: Floats) -> dict[str, dict[str, int]]:
    """Empty where a video may have several labels: none of them stands for another."""
    if data.targets.ndim == 2:
        return {}
    matrix = confusion_matrix(data.targets, given.argmax(1), len(data.labels))
    return {
        truth: {data.labels[k]: int(n) for k, n in enumerate(row) if n}
        for truth, row in zip(data.labels, matrix, strict=True)
        if row.any()
    }
