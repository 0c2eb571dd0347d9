"""Train a classifier on a collection's labelled videos and register it as challenger in MLflow.

The parts (LSTM, linear heads on statistics over time) are trained fold by fold, which gives out-of-fold
scores for their weights and an honest accuracy, and then on all of train and val. The same inputs give the
version that exists already.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from vidpipe.evaluation.comparison import accuracy_interval
from vidpipe.evaluation.model_card import TrainingRecord
from vidpipe.label_set_metrics import mean_average_precision
from vidpipe.learning.calibration import EpochMetrics
from vidpipe.learning.cross_fitting import CrossFit, Fitted, order_gain
from vidpipe.learning.training import Start, TrainingConfig
from vidpipe.ports import Ports
from vidpipe.ports.models import ModelBundle, TrainingRun
from vidpipe.records.features import FeatureSpec
from vidpipe.records.models import (
    REGISTERED,
    CrossValidation,
    LabelledVideo,
    ModelVersion,
    Scores,
    Sequences,
)
from vidpipe.records.videos import short_hash
from vidpipe.splits import SPLITS, Copies, ResolvedSplit, names_of
from vidpipe.splits import folds as fold_numbers
from vidpipe.steps import scoring
from vidpipe.steps.attention_strips import log_attention
from vidpipe.steps.gather_evidence import evaluation_set
from vidpipe.steps.label_kinds import refuse_other_kind
from vidpipe.steps.lookup import require_collection
from vidpipe.steps.runs import Result, recorded
from vidpipe.steps.training_splits import resolved
from vidpipe.vision.feature_specs import layout_of

log = logging.getLogger(__name__)

SURE_ERRORS = 2.0
"""Standard errors by which parts that see order must forecast better for `train` to say that it matters."""
RECIPE = 14
"""Raised when the code trains differently from the same inputs: old versions are not taken for new."""


@dataclass(frozen=True, slots=True)
class TrainResult(Result):
    """Result of `vidpipe train`: the registered version and its metrics."""

    run_id: int
    model: str
    version: int
    mlflow_run_id: str
    metrics: Mapping[str, Any]
    """Figures on the test split, of parts and baselines beside it, and the cross-validated accuracy."""
    existing: bool
    """True when the same inputs had been trained before."""
    advice: str
    """What follows from the figures, in one line."""


@dataclass(frozen=True, slots=True)
class _MakeTrainer:
    """All inputs that determine a version; their hash is its fingerprint."""

    collection: str
    split: ResolvedSplit
    spec: FeatureSpec
    config: TrainingConfig
    start: tuple[ModelVersion, ModelBundle] | None
    """The version that it goes on from."""
    linear: bool
    """Whether linear heads may have a weight."""

    @property
    def training_videos(self) -> list[LabelledVideo]:
        """Training videos (train and val) in the order of `scoring.load`."""
        return scoring.in_order([*self.split.train, *self.split.val])

    @property
    def labels(self) -> list[str]:
        """Labels of the training videos and of the warm start."""
        known = self.start[1].labels if self.start else ()
        return sorted(names_of(self.split.train) | set(known))

    @property
    def training_groups(self) -> list[str]:
        """Hashes of the groups of all videos that it was trained on, with those of the warm start."""
        known = self.start[1].training_groups if self.start else ()
        return sorted({*self.split.training_groups(), *known})

    def hashes(self) -> dict[str, str]:
        """Hash of the dataset, and the fingerprint: the hash of all inputs."""
        dataset = [
            (name, v.video_id, v.label, *(v.span or ())) for name in SPLITS for v in self.split.part(name)
        ]
        dataset_hash = short_hash(sorted(dataset))
        decides = [
            RECIPE, self.collection, self.split.column, dataset_hash, self.spec.feature_set_id,
            self.config.parameters(), self.start[0].mlflow_run_id if self.start else None, self.linear,
        ]  # fmt: skip
        if any(v.multi_label for v in self.split.train):
            decides.append("several labels a video")
        if joined := sorted({v.joined for v in self.split.part("all") if v.joined}):
            decides.append(joined)  # other folds; without any, versions of before are found
        return {"dataset_hash": dataset_hash, "fingerprint": short_hash(decides)}

    def parameters(self) -> dict[str, Any]:
        """Parameters as logged in MLflow."""
        found = {
            **self.config.parameters(),
            **self.hashes(),
            "epochs": self.config.epochs_for(len(self.training_videos)),
            "parts": "linear,lstm" if self.linear else "lstm",
            "collection": self.collection,
            "split_column": self.split.column or "",
            "feature_set_id": self.spec.feature_set_id,
            "feature_spec": self.spec.to_json(),
            "labels": len(self.labels),
        }
        if self.start:
            network = asdict(self.start[1].lstm_config)
            found |= {k: v for k, v in network.items() if k in found}  # the architecture of the start
            found["warm_start"] = self.start[0].version
        return found


def train(
    ports: Ports,
    collection: str,
    *,
    split_column: str | None = None,
    config: TrainingConfig | None = None,
    warm_start: str | None = None,
    linear: bool = True,
    copies: Copies = "refuse",
    group_near_duplicates: bool = False,
) -> TrainResult:
    """Train on a collection's labelled videos and register the result as challenger.

    Args:
        ports: The outside world.
        collection: A collection with labels.
        split_column: The manifest's column of train/val/test; default: cut by group.
        config: How; default: `TrainingConfig()`.
        warm_start: A version or alias to go on from, with its features, its network and its labels beside the
            new ones; default: random weights.
        linear: Whether linear heads may have a weight beside the LSTM.
        copies: What becomes of copies of one video that disagree on split or group: `splits.resolve`.
        group_near_duplicates: Keep near-duplicates in one split and one group: `near_duplicates.resolved`.

    Raises:
        NotFound: No such collection, no labels in it, or no such version.
        ConfigurationError: No features yet, no usable split, or many near-duplicates straddle it.
        RegistryUnreachable: MLflow does not answer.
    """
    config = config or TrainingConfig()
    start = _start(ports, collection, warm_start)
    spec = start[0].spec if start else ports.limits.spec
    with recorded(ports, "train") as run:
        split = resolved(
            ports, collection, spec, split_column, config.seed, copies=copies,
            group_near_duplicates=group_near_duplicates,
        )  # fmt: skip
        lesson = _MakeTrainer(collection, split, spec, config, start, linear)
        run.videos = len(split.part("all"))
        version = ports.registry.find(lesson.hashes()["fingerprint"])
        existing = version is not None
        if version is None:
            version = _train_new(ports, lesson, only=run.only)
        ports.ledger.decisions.put_version_videos(
            version.identity, split.ids(), warm_start=start[0].identity if start else None
        )
        if not ports.ledger.decisions.has_reference(version.identity):
            _put_reference(ports, version, split)
        run.detail = {"collection": collection, "version": version.version, "existing": existing}
        return TrainResult(
            run.run_id,
            version.model,
            version.version,
            version.mlflow_run_id,
            {**version.metrics, **version.figures},
            existing,
            _advice(version, split),
        )


def retrain(
    ports: Ports, collection: str | None = None, *, split_column: str | None = None,
    config: TrainingConfig | None = None, group_near_duplicates: bool = False,
) -> TrainResult:  # fmt: skip
    """Retrain with the champion's collection and parameters on the labels of today; see `train`.

    Args:
        ports: The outside world.
        collection: Default: the champion's, with its split column.
        split_column: As in `train`.
        config: As in `train`.
        group_near_duplicates: As in `train`.
    """
    if collection is None:
        champion = ports.registry.version("champion")
        collection, split_column = champion.collection, split_column or champion.split_column
    return train(
        ports, collection, split_column=split_column, config=config,
        group_near_duplicates=group_near_duplicates,
    )  # fmt: skip


def _start(ports: Ports, collection: str, warm_start: str | None) -> tuple[ModelVersion, ModelBundle] | None:
    if warm_start is None:
        return None
    require_collection(ports, collection)
    version = ports.registry.version(warm_start)
    refuse_other_kind(ports, version, collection)
    return version, ports.registry.load(version)


def _train_new(ports: Ports, lesson: _MakeTrainer, *, only: bool) -> ModelVersion:
    split, spec, config, labels = lesson.split, lesson.spec, lesson.config, lesson.labels
    videos = lesson.training_videos
    data, test = (scoring.load(ports, spec, some, labels) for some in (videos, split.test))
    known = lesson.start[1] if lesson.start else None
    start = Start(known.lstm, known.lstm_config, known.labels) if known else None
    name = f"{lesson.collection} seed {config.seed}"
    with ports.registry.training_run(name, lesson.parameters(), only=only) as mlflow_run:
        folds = fold_numbers(split, videos, config.seed)
        training = CrossFit(data, folds, config, layout_of(spec), start, linear=lesson.linear)
        _fit(ports, training, mlflow_run)
        fitted = training.fitted
        decisions = fitted.decisions
        thresholds: Mapping[str, Sequence[float]] = decisions.thresholds if decisions else {}
        parts = {
            name: scoring.score(part, test, thresholds.get(name))[0] for name, part in fitted.parts().items()
        }
        record = TrainingRecord(
            lesson.collection, split.column, **lesson.hashes(),
            videos={name: _label_counts(split.part(name)) for name in SPLITS},
            scores=_log_scores(mlflow_run, fitted.classifier, test, thresholds.get(REGISTERED)),
            parts=parts, weights=fitted.weights,
            baselines={name: parts[name] for name in ("mean_linear", "mean_std_linear")},
            cross_validation=_cross_validation(fitted, data, videos, folds),
            warm_start=lesson.start[0].version if lesson.start else None,
            order_gain=order_gain(fitted.out_of_fold),
            totals={name: len(split.part(name)) for name in SPLITS},
        )  # fmt: skip
        mlflow_run.log_facts("figures", record.figures())
        if config.head == "attention":
            log_attention(ports, mlflow_run, lesson.collection, spec, split.test, fitted.classifier)
        bundle = ports.make_bundle(
            labels=tuple(labels), spec=spec, split_ids=split.ids(), training_groups=lesson.training_groups,
            lstm=fitted.classifier.lstm, lstm_config=fitted.lstm_config, heads=fitted.heads,
            weights=fitted.weights, cross_validation=record.cross_validation, decisions=decisions,
        )  # fmt: skip
        return mlflow_run.register(bundle, record)


def log_epoch(mlflow_run: TrainingRun, metrics: EpochMetrics) -> None:
    """Log the LSTM's metrics of one epoch in the MLflow run."""
    found = {f"lstm_{k}": v for k, v in asdict(metrics).items() if k != "epoch" and v is not None}
    mlflow_run.log_metrics(found, step=metrics.epoch)


def _put_reference(ports: Ports, version: ModelVersion, split: ResolvedSplit) -> None:
    """Store the version's predictions on its test split, the reference of drift checks."""
    eval_set = evaluation_set(version.collection, "test", split.test, frozen=False)
    bundle = ports.registry.load(version)
    features = scoring.evaluation_features(ports, version, eval_set)
    given = scoring.predictions_of(bundle.classifier, bundle.labels, features)
    tenths = np.minimum((given.scores * 10).astype(int), 9)
    counts = Counter(zip(given.predicted, map(int, tenths), strict=True))
    ports.ledger.decisions.put_reference(version.identity, counts)


def _fit(ports: Ports, training: CrossFit, mlflow_run: TrainingRun) -> None:
    with ports.progress.stage("train", training.planned, "epochs") as advance:
        for metrics in training.epochs():
            advance(1, 1)
            if metrics is not None:
                log_epoch(mlflow_run, metrics)
    said = ", ".join(f"{name} {weight:.2f}" for name, weight in training.fitted.weights.items())
    log.info("weights of the parts: %s", said)


def _cross_validation(
    fitted: Fitted, data: Sequences, videos: Sequence[LabelledVideo], folds: npt.NDArray[np.int64]
) -> CrossValidation:
    """Cross-validated accuracy of the out-of-fold scores, with a bootstrap interval by group."""
    truth = data.targets[fitted.held_out]
    right = (
        fitted.probabilities.argmax(1) == truth
        if fitted.decided is None
        else (fitted.decided == truth).all(1)
    )
    _, groups = np.unique([videos[i].group for i in fitted.held_out], return_inverse=True)
    found = accuracy_interval(right, groups.astype(np.int64))
    return CrossValidation(
        len(right), found.value, found.low, found.high, int(folds.max()) + 1,
        None if fitted.decided is None else mean_average_precision(truth, fitted.probabilities),
    )  # fmt: skip


def _advice(version: ModelVersion, split: ResolvedSplit) -> str:
    """Advice from the out-of-fold scores: whether temporal order matters, and what would help most."""
    if "order_gain" not in version.figures:  # registered before
        return ""
    gain, error = version.figures["order_gain"]
    if gain > SURE_ERRORS * error:
        return (
            "order may matter here: parts that see it forecast held-out videos better than statistics over "
            f"time do, by {gain:.2f} ± {error:.2f} in log score."
        )
    videos = _label_counts((*split.train, *split.val))
    rarest = min(videos, key=lambda label: (videos[label], label))
    is_rare = videos[rarest] < max(videos.values())
    wanted = f"of label {rarest!r}, the rarest ({videos[rarest]} so far)," if is_rare else "of all labels"
    return (
        "a linear model on statistics over time is as good as one that sees order: "
        f"more videos {wanted} would help most."
    )


def _label_counts(videos: Sequence[LabelledVideo]) -> dict[str, int]:
    return dict(Counter(name for v in videos for name in v.names))


def _log_scores(
    mlflow_run: TrainingRun, model: nn.Module, test: Sequences, thresholds: Sequence[float] | None
) -> Scores:
    scores, given = scoring.score(model, test, thresholds)
    mlflow_run.log_scores(REGISTERED, test.labels, test.targets, given, asdict(scores))
    return scores
