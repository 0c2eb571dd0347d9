"""Train: the features of labelled videos become a registered version, the challenger.

The LSTM and its mean + linear baseline are trained on the same split, side by side. The same inputs give
the version that exists already.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from vidpipe.errors import VideoError
from vidpipe.evaluation.model_card import TrainingRecord
from vidpipe.learning.baseline import BaselineTrainer
from vidpipe.learning.calibration import EpochMetrics, Trainer
from vidpipe.learning.classifier import Kind
from vidpipe.learning.inference import attention, predict
from vidpipe.learning.training import LSTMTrainer, Start, TrainingConfig
from vidpipe.metrics import graded
from vidpipe.ports import ModelBundle, Ports, TrainingRun
from vidpipe.records.features import FeatureSpec
from vidpipe.records.models import AttentionStrip, ModelVersion, Scores, Sequences
from vidpipe.records.videos import short_hash
from vidpipe.splits import SPLITS, ResolvedSplit, resolve
from vidpipe.steps import scoring
from vidpipe.steps.contest import evaluation_set
from vidpipe.steps.runs import Report, recorded
from vidpipe.vision.backbones import block_sizes

log = logging.getLogger(__name__)

STRIPS, PICTURES = 3, 8
"""Test videos shown with their attention, and pictures of each."""
RECIPE = 5
"""Raised when the code trains differently from the same inputs: old versions are not taken for new."""


@dataclass(frozen=True, slots=True)
class TrainReport(Report):
    """The version that the inputs gave."""

    run_id: int
    model: str
    version: int
    mlflow_run_id: str
    metrics: Mapping[str, float]
    existing: bool
    """True when the same inputs had been trained before."""


@dataclass(frozen=True, slots=True)
class _Lesson:
    """Everything that decides a version."""

    collection: str
    split: ResolvedSplit
    spec: FeatureSpec
    config: TrainingConfig
    start: tuple[ModelVersion, ModelBundle] | None
    """The version that it goes on from."""

    @property
    def labels(self) -> list[str]:
        """Those of the training videos, and those that the start knows."""
        known = self.start[1].labels if self.start else ()
        return sorted({v.label for v in self.split.train} | set(known))

    @property
    def training_groups(self) -> list[str]:
        """Of all videos that ever taught it."""
        known = self.start[1].training_groups if self.start else ()
        return sorted({*self.split.training_groups(), *known})

    def hashes(self) -> dict[str, str]:
        """Hash of the dataset, and as fingerprint that of everything."""
        dataset = [
            (name, v.video_id, v.label, *(v.span or ())) for name in SPLITS for v in self.split.part(name)
        ]
        dataset_hash = short_hash(sorted(dataset))
        decides = [
            RECIPE, self.collection, self.split.column, dataset_hash, self.spec.feature_set_id,
            self.config.parameters(), self.start[0].mlflow_run_id if self.start else None,
        ]  # fmt: skip
        return {"dataset_hash": dataset_hash, "fingerprint": short_hash(decides)}

    def parameters(self) -> dict[str, Any]:
        """As logged in MLflow."""
        found = {
            **self.config.parameters(),
            **self.hashes(),
            "epochs": self.config.epochs_for(len(self.split.train)),
            "collection": self.collection,
            "split_column": self.split.column or "",
            "feature_set_id": self.spec.feature_set_id,
            "feature_spec": self.spec.to_json(),
            "labels": len(self.labels),
        }
        if self.start:
            network = asdict(self.start[1].lstm_config)
            found |= {k: v for k, v in network.items() if k in found}  # its shape is the start's
            found["warm_start"] = self.start[0].version
        return found


def train(
    ports: Ports,
    collection: str,
    *,
    split_column: str | None = None,
    config: TrainingConfig | None = None,
    warm_start: str | None = None,
) -> TrainReport:
    """Train on a collection's labelled videos and register the result as challenger.

    Args:
        ports: The outside world.
        collection: A collection with labels.
        split_column: The manifest's column of train/val/test; default: cut by group.
        config: How; default: `TrainingConfig()`.
        warm_start: A version or alias to go on from, with its features, its network and its labels beside the
            new ones; default: random weights.

    Raises:
        NotFound: No such collection, no labels in it, or no such version.
        ConfigurationError: No features yet, or a split that cannot be used.
        RegistryUnreachable: MLflow does not answer.
    """
    config = config or TrainingConfig()
    start = _start(ports, warm_start)
    spec = start[0].spec if start else ports.limits.spec
    with recorded(ports, "train") as run:
        split = resolve(scoring.labelled(ports, collection, spec), split_column, config.seed)
        lesson = _Lesson(collection, split, spec, config, start)
        run.videos = len(split.part("all"))
        version = ports.registry.find(lesson.hashes()["fingerprint"])
        existing = version is not None
        if version is None:
            version = _train_new(ports, lesson, only=run.only)
        ports.ledger.put_version_videos(
            version.version, split.ids(), warm_start=start[0].version if start else None
        )
        if not ports.ledger.has_reference(version.version):
            _put_reference(ports, version, split)
        run.detail = {"collection": collection, "version": version.version, "existing": existing}
        return TrainReport(
            run.run_id,
            version.model,
            version.version,
            version.mlflow_run_id,
            version.metrics,
            existing,
        )


def retrain(
    ports: Ports, collection: str | None = None, *, split_column: str | None = None,
    config: TrainingConfig | None = None,
) -> TrainReport:  # fmt: skip
    """Train as the champion was trained, on the labels of today; arguments and errors as in `train`.

    Args:
        ports: The outside world.
        collection: Default: the champion's, with its split column.
        split_column: As in `train`.
        config: As in `train`.
    """
    if collection is None:
        champion = ports.registry.version("champion")
        collection, split_column = champion.collection, split_column or champion.split_column
    return train(ports, collection, split_column=split_column, config=config)


def _start(ports: Ports, warm_start: str | None) -> tuple[ModelVersion, ModelBundle] | None:
    if warm_start is None:
        return None
    version = ports.registry.version(warm_start)
    return version, ports.registry.load(version)


def _train_new(ports: Ports, lesson: _Lesson, *, only: bool) -> ModelVersion:
    split, spec, config, labels = lesson.split, lesson.spec, lesson.config, lesson.labels
    data = {name: scoring.load(ports, spec, split.part(name), labels) for name in SPLITS}
    known = lesson.start[1] if lesson.start else None
    start = Start(known.lstm, known.lstm_config, known.labels) if known else None
    name = f"{lesson.collection} seed {config.seed}"
    with ports.registry.training_run(name, lesson.parameters(), only=only) as mlflow_run:
        lstm = LSTMTrainer(data["train"], data["val"], config, block_sizes(spec), start)
        baseline = BaselineTrainer(data["train"], data["val"])
        _fit(ports, "lstm", lstm, mlflow_run)
        _fit(ports, "mean_linear", baseline, mlflow_run)
        record = TrainingRecord(
            lesson.collection, split.column, **lesson.hashes(),
            videos={name: dict(Counter(v.label for v in split.part(name))) for name in SPLITS},
            scores=_log_scores(mlflow_run, "lstm", lstm, data["test"]),
            baseline=_log_scores(mlflow_run, "mean_linear", baseline, data["test"]),
            warm_start=lesson.start[0].version if lesson.start else None,
        )  # fmt: skip
        mlflow_run.log_metrics(record.metrics())
        _log_attention(ports, mlflow_run, lesson, lstm.model)
        bundle = ports.make_bundle(
            labels=tuple(labels), spec=spec, split_ids=split.ids(), training_groups=lesson.training_groups,
            lstm=lstm.model, lstm_config=lstm.architecture,
            baseline=baseline.model, baseline_config=baseline.architecture,
        )  # fmt: skip
        return mlflow_run.register(bundle, record)


def logged_epochs(kind: Kind, teacher: Trainer, mlflow_run: TrainingRun) -> Iterator[EpochMetrics]:
    """Train to the end, one point of each curve in the MLflow run after every epoch."""
    for metrics in teacher.epochs():
        curve = {f"{kind}_{k}": float(v) for k, v in asdict(metrics).items() if k != "epoch"}
        mlflow_run.log_metrics(curve, step=metrics.epoch)
        yield metrics


def _put_reference(ports: Ports, version: ModelVersion, split: ResolvedSplit) -> None:
    """What the version answers on its own test split: later nights are compared with it."""
    exam = evaluation_set(version.collection, "test", split.test, frozen=False)
    bundle = ports.registry.load(version)
    given = scoring.answer(bundle.lstm, bundle.labels, scoring.exam_features(ports, version, exam))
    tenths = np.minimum((given.scores * 10).astype(int), 9)
    counts = Counter(zip(given.predicted, map(int, tenths), strict=True))
    ports.ledger.put_reference(version.version, counts)


def _fit(ports: Ports, kind: Kind, teacher: Trainer, mlflow_run: TrainingRun) -> None:
    with ports.progress.stage(f"train {kind}", teacher.planned, "epochs") as advance:
        for metrics in logged_epochs(kind, teacher, mlflow_run):
            advance(1, 1)
            last = metrics
    log.info("%s: %d epochs, validation accuracy %.3f", kind, last.epoch, last.val_accuracy)


def _log_scores(mlflow_run: TrainingRun, kind: Kind, teacher: Trainer, test: Sequences) -> Scores:
    given = predict(teacher.model, test.features)
    scores = graded(test.targets, given, test.labels)
    mlflow_run.log_scores(kind, test.labels, test.targets, given, asdict(scores))
    return scores


def _log_attention(ports: Ports, mlflow_run: TrainingRun, lesson: _Lesson, model: nn.Module) -> None:
    """When the model looks, in the first test videos of some labels; a file that is gone has no pictures."""
    collection = ports.ledger.collection(lesson.collection)
    if lesson.config.head != "attention" or collection is None:
        return
    first = {video.label: video for video in reversed(lesson.split.test)}
    strips = []
    for label, video in sorted(first.items())[:STRIPS]:
        (found,) = ports.store.read(lesson.spec.feature_set_id, [video.stored])
        (weights,) = attention(model, [found.values])
        if pictures := _pictures(ports, Path(collection.source) / video.path, found.times_s):
            title = f"{label}: {video.path}"
            strips.append(AttentionStrip(title, found.times_s.tolist(), weights.tolist(), pictures))
    if strips:
        mlflow_run.log_attention(strips)


def _pictures(ports: Ports, file: Path, times_s: npt.NDArray[np.float64]) -> list[tuple[float, bytes]]:
    chosen = times_s[np.linspace(0, len(times_s) - 1, min(PICTURES, len(times_s))).astype(int)]
    try:
        found = [(float(at_s), ports.videos.picture(file, float(at_s))) for at_s in chosen]
    except VideoError as error:
        log.info("no pictures of %s: %s", file.name, error)
        return []
    return [(at_s, jpeg) for at_s, jpeg in found if jpeg]
