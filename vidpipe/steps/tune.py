"""Hyperparameter search within a time budget; the best config is trained and registered.

Trials are trained on the train split and are compared on val, or where there is none on a fold held out by
group; test is opened once, for the version that `train` makes of the best. The search begins with the
default config, which stays unless another one does better.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vidpipe.errors import ConfigurationError
from vidpipe.learning import hyperparameters
from vidpipe.learning.calibration import validate
from vidpipe.learning.training import LSTMTrainer, TrainingConfig
from vidpipe.ports import Ports
from vidpipe.ports.models import TrainingRun
from vidpipe.records.models import LabelledVideo, Sequences
from vidpipe.splits import Copies, ResolvedSplit, folds
from vidpipe.steps import scoring
from vidpipe.steps.label_kinds import is_multi_label
from vidpipe.steps.lookup import require_collection
from vidpipe.steps.runs import Result, recorded
from vidpipe.steps.train import log_epoch, train
from vidpipe.steps.training_splits import resolved
from vidpipe.vision.feature_specs import block_sizes

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trial:
    """One config and its network's scores on the validation videos."""

    config: TrainingConfig
    mlflow_run_id: str
    val_loss: float
    """Cross entropy of the finished network, calibrated."""
    val_accuracy: float
    seconds: float


@dataclass(frozen=True, slots=True)
class TuneResult(Result):
    """Result of `vidpipe tune`: the best config of the search, and its registered version."""

    run_id: int
    model: str
    version: int
    mlflow_run_id: str
    """Of the version."""
    search_mlflow_run_id: str
    """Its nested runs are the trials."""
    trials: int
    best: Mapping[str, Any]
    """Parameters that differ from the default; empty when nothing did better."""
    val_loss: float
    val_accuracy: float
    default_val_loss: float
    default_val_accuracy: float
    metrics: Mapping[str, float]
    existing: bool
    """True when the best config had been trained on the same videos before."""
    seconds: float


def tune(
    ports: Ports,
    collection: str,
    *,
    split_column: str | None = None,
    config: TrainingConfig | None = None,
    budget_s: float = 600.0,
    copies: Copies = "refuse",
    group_near_duplicates: bool = False,
) -> TuneResult:
    """Try configs until the time budget is spent, then train the best one as `train` does.

    Args:
        ports: The outside world.
        collection: Its labelled videos.
        split_column: As in `train`.
        config: The default, tried first; its seed is also that of the search.
        budget_s: Seconds for the trials, of which there is at least one; the best is trained afterwards.
        copies: As in `train`.
        group_near_duplicates: As in `train`.

    Raises:
        NotFound: No such collection, or no labels in it.
        ConfigurationError: No features yet, a split that cannot be used, or several labels a video.
        RegistryUnreachable: MLflow does not answer.
    """
    default = config or TrainingConfig()
    spec = ports.limits.spec
    require_collection(ports, collection)
    if is_multi_label(ports, collection):
        raise ConfigurationError(
            f"the videos of {collection!r} may have several labels: tune searches for one label a video.",
            next_step=f"vidpipe train --collection {collection}",
        )
    with recorded(ports, "tune") as run:
        split = resolved(
            ports, collection, spec, split_column, default.seed, copies=copies,
            group_near_duplicates=group_near_duplicates,
        )  # fmt: skip
        run.videos = len(split.train) + len(split.val)
        parameters = _parameters(collection, split, spec.feature_set_id, default, budget_s)
        name = f"tune {collection} seed {default.seed}"
        with ports.registry.training_run(name, parameters, only=run.only) as mlflow_run:
            trials = _search(ports, split, default, budget_s, mlflow_run)
            best = _best(trials)
            _log_search(mlflow_run, trials, best, budget_s)
        # Outside of the search's MLflow run: the version's is its own, as if `train` had been called.
        trained = train(
            ports, collection, split_column=split_column, config=best.config, copies=copies,
            group_near_duplicates=group_near_duplicates,
        )  # fmt: skip
        differs = hyperparameters.difference(best.config, default)
        run.detail = {
            "collection": collection, "version": trained.version, "existing": trained.existing,
            "trials": len(trials), "best": differs, "search_mlflow_run_id": mlflow_run.mlflow_run_id,
        }  # fmt: skip
        return TuneResult(
            run.run_id, trained.model, trained.version, trained.mlflow_run_id, mlflow_run.mlflow_run_id,
            len(trials), differs, best.val_loss, best.val_accuracy, trials[0].val_loss,
            trials[0].val_accuracy, trained.metrics, trained.existing, run.seconds,
        )  # fmt: skip


def _parameters(
    collection: str, split: ResolvedSplit, feature_set_id: str, default: TrainingConfig, budget_s: float
) -> dict[str, Any]:
    return {
        "collection": collection,
        "split_column": split.column or "",
        "feature_set_id": feature_set_id,
        "train_videos": len(split.train),
        "val_videos": len(split.val),
        "seed": default.seed,
        "budget_s": budget_s,
    }


def _search(
    ports: Ports, split: ResolvedSplit, default: TrainingConfig, budget_s: float, mlflow_run: TrainingRun
) -> list[Trial]:
    """Run the trials in order, without reading the test split."""
    labels = sorted({v.label for v in split.train})
    learn, judge = (
        scoring.load(ports, ports.limits.spec, some, labels) for some in _halves(split, default.seed)
    )
    done: list[Trial] = []
    with ports.progress.stage("tune", budget_s, "trials") as advance:
        for config in hyperparameters.within(budget_s, hyperparameters.configs(default)):
            with mlflow_run.trial(f"trial {len(done) + 1}", _trial_parameters(config, learn)) as trial_run:
                trial = _try(ports, learn, judge, config, trial_run)
            done.append(trial)
            advance(trial.seconds, 1)
            log.info(
                "trial %d: validation loss %.4f, accuracy %.3f, %.1f s, %s",
                len(done), trial.val_loss, trial.val_accuracy, trial.seconds,
                hyperparameters.difference(config, default) or "the default",
            )  # fmt: skip
    return done


def _halves(split: ResolvedSplit, seed: int) -> tuple[list[LabelledVideo], list[LabelledVideo]]:
    """Training and validation videos of trials: train and val, or the first cross-validation fold."""
    videos = scoring.in_order([*split.train, *split.val])
    held_out = folds(split, videos, seed) == 0
    return [v for v, out in zip(videos, held_out, strict=True) if not out], [
        v for v, out in zip(videos, held_out, strict=True) if out
    ]


def _trial_parameters(config: TrainingConfig, learn: Sequences) -> dict[str, Any]:
    return {**config.parameters(), "epochs": config.epochs_for(len(learn))}


def _try(
    ports: Ports, learn: Sequences, judge: Sequences, config: TrainingConfig, trial_run: TrainingRun
) -> Trial:
    started = time.monotonic()
    trainer = LSTMTrainer(learn, judge, config, block_sizes(ports.limits.spec))
    begun = started
    for metrics in trainer.epochs():
        log_epoch(trial_run, metrics)
        now = time.monotonic()
        ports.progress.in_progress(now - begun, 0)
        begun = now
    loss, accuracy = validate(trainer.model, judge)
    trial_run.log_metrics({"val_loss": loss, "val_accuracy": accuracy})
    return Trial(config, trial_run.mlflow_run_id, loss, accuracy, round(time.monotonic() - started, 3))


def _best(trials: Sequence[Trial]) -> Trial:
    """Best trial: the lowest validation loss, then the highest accuracy, then the earliest."""
    return min(trials, key=lambda t: (t.val_loss if math.isfinite(t.val_loss) else math.inf, -t.val_accuracy))


def _log_search(mlflow_run: TrainingRun, trials: Sequence[Trial], best: Trial, budget_s: float) -> None:
    default = trials[0]
    mlflow_run.log_metrics(
        {
            "trials": float(len(trials)),
            "val_loss": best.val_loss,
            "val_accuracy": best.val_accuracy,
            "default_val_loss": default.val_loss,
            "default_val_accuracy": default.val_accuracy,
        }
    )
    rows = [
        {
            "mlflow_run_id": trial.mlflow_run_id,
            "differs": hyperparameters.difference(trial.config, default.config),
            "val_loss": trial.val_loss,
            "val_accuracy": trial.val_accuracy,
            "seconds": trial.seconds,
        }
        for trial in trials
    ]
    facts = {"budget_s": budget_s, "best": rows[trials.index(best)], "trials": rows}
    mlflow_run.log_facts("search", facts)
