"""Train: the features of labelled videos become a registered version, the challenger.

The LSTM and its mean + linear baseline are trained on the same split, side by side. The same inputs give
the version that exists already.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from vidpipe.classifier import Kind
from vidpipe.ports import Ports, TrainingRun
from vidpipe.records import FeatureSpec, ModelVersion, Sequences, SplitName, short_hash
from vidpipe.splits import SPLITS, ResolvedSplit, resolve
from vidpipe.steps import scoring
from vidpipe.steps.runs import Report, recorded
from vidpipe.training import Trainer, TrainingConfig

log = logging.getLogger(__name__)

RECIPE = 1
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


def train(
    ports: Ports,
    collection: str,
    *,
    split_column: str | None = None,
    config: TrainingConfig | None = None,
) -> TrainReport:
    """Train on a collection's labelled videos and register the result as challenger.

    Raises:
        NotFound: No such collection, or no labels in it.
        ConfigurationError: No features yet, or a split that cannot be used.
        RegistryUnreachable: MLflow does not answer.
    """
    config = config or TrainingConfig()
    spec = ports.limits.spec
    with recorded(ports, "train") as run:
        split = resolve(scoring.labelled(ports, collection, spec), split_column, config.seed)
        tags = _tags(collection, split, spec, config)
        run.videos = len(split.part("all"))
        version = ports.registry.find(tags["fingerprint"])
        existing = version is not None
        if version is None:
            version = _train_new(ports, split, spec, config, tags, only=run.only)
        run.detail = {"collection": collection, "version": version.version, "existing": existing}
        return TrainReport(
            run.run_id,
            version.model,
            version.version,
            version.mlflow_run_id,
            version.metrics,
            existing,
        )


def _tags(collection: str, split: ResolvedSplit, spec: FeatureSpec, config: TrainingConfig) -> dict[str, str]:
    """What a version records of its origin; the fingerprint is a hash of everything that decides it."""
    dataset = [(name, v.video_id, v.label) for name in SPLITS for v in split.part(name)]
    dataset_hash = short_hash(sorted(dataset))
    decides = [
        RECIPE,
        collection,
        split.column,
        dataset_hash,
        spec.feature_set_id,
        config.parameters(),
    ]
    return {
        "collection": collection,
        "split_column": split.column or "",
        "dataset_hash": dataset_hash,
        "fingerprint": short_hash(decides),
    }


def _train_new(
    ports: Ports,
    split: ResolvedSplit,
    spec: FeatureSpec,
    config: TrainingConfig,
    tags: Mapping[str, str],
    *,
    only: bool,
) -> ModelVersion:
    labels = sorted({v.label for v in split.train})
    data = {name: scoring.load(ports, spec, split.part(name), labels) for name in SPLITS}
    parameters = {
        **config.parameters(),
        **tags,
        "feature_set_id": spec.feature_set_id,
        "feature_spec": spec.to_json(),
        "labels": len(labels),
    }
    name = f"{tags['collection']} seed {config.seed}"
    with ports.registry.training_run(name, parameters, only=only) as mlflow_run:
        trainers = {kind: _fit(ports, kind, data, config, mlflow_run) for kind in ("lstm", "mean_linear")}
        lstm, baseline = trainers["lstm"], trainers["mean_linear"]
        metrics = {
            "train_videos": float(len(data["train"])),
            "test_videos": float(len(data["test"])),
        }
        for kind, trainer in trainers.items():
            metrics |= _log_scores(mlflow_run, kind, trainer, data["test"])
        mlflow_run.log_metrics(metrics)
        bundle = ports.make_bundle(
            labels=tuple(labels), spec=spec, split_ids=split.ids(),
            training_groups=split.training_groups(),
            lstm=lstm.model, lstm_config=lstm.architecture,
            baseline=baseline.model, baseline_config=baseline.architecture,
        )  # fmt: skip
        return mlflow_run.register(bundle, metrics, tags)


def _fit(
    ports: Ports,
    kind: Kind,
    data: Mapping[SplitName, Sequences],
    config: TrainingConfig,
    mlflow_run: TrainingRun,
) -> Trainer:
    trainer = Trainer(kind, data["train"], data["val"], config)
    with ports.progress.stage(f"train {kind}", config.epochs) as advance:
        for metrics in trainer.epochs():
            curve = {f"{kind}_{k}": float(v) for k, v in asdict(metrics).items() if k != "epoch"}
            mlflow_run.log_metrics(curve, step=metrics.epoch)
            advance(1)
    log.info("%s: %d epochs, validation accuracy %.3f", kind, metrics.epoch, metrics.val_accuracy)
    return trainer


def _log_scores(mlflow_run: TrainingRun, kind: str, trainer: Trainer, test: Sequences) -> dict[str, float]:
    scores, matrix = scoring.score(trainer.model, test)
    mlflow_run.log_scores(kind, test.labels, matrix, asdict(scores))
    prefix = "" if kind == "lstm" else "baseline_"
    return {f"{prefix}test_accuracy": scores.accuracy, f"{prefix}test_macro_f1": scores.macro_f1}
