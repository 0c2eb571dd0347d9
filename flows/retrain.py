"""Scheduled retraining: once a week a challenger is trained on the labels of today.

Nights score the challenger beside the champion (shadow); the gate decides, here or on `vidpipe promote`.
"""

from typing import Any

from prefect import flow, task

from flows.executor import ports_of
from flows.promote import promote_flow
from flows.shared import RETRIES, publish_result
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.steps.extract import extract
from vidpipe.steps.train import TrainResult, retrain


@task(**RETRIES)
def retrain_challenger(
    ports: Ports, collection: str | None, split_column: str | None, config: TrainingConfig,
    group_near_duplicates: bool,
) -> TrainResult:  # fmt: skip
    """Train, log and register a version; the same labels as before give the version that exists."""
    return retrain(
        ports, collection, split_column=split_column, config=config,
        group_near_duplicates=group_near_duplicates,
    )  # fmt: skip


@flow(name="retrain")
def retrain_flow(
    collection: str | None = None,
    split_column: str | None = None,
    epochs: int | None = None,
    seed: int = 0,
    judge: bool = False,
    group_near_duplicates: bool = False,
    home: str | None = None,
) -> dict[str, Any]:
    """Train a challenger on the labels of today; with `judge`, the gate decides on it at once.

    Features that the present settings ask for and that no night has made are made first.

    Args:
        collection: A collection with labels; the champion's, with its split column, when empty.
        split_column: The manifest's column of train/val/test; the champion's, or cut by group, when empty.
        epochs: Passes over the training videos; 40, more on few videos, when empty.
        seed: Seed of everything random.
        judge: Promote it if the gate lets it. Otherwise it stays challenger until somebody asks.
        group_near_duplicates: Keep near-duplicates in one split; without it a few that straddle are warned
            of, and many let the training fail.
        home: Another home than the one that VIDPIPE_HOME names.
    """
    ports = ports_of(home)
    extract(ports, collection)
    config = TrainingConfig(seed=seed, epochs=epochs)
    facts = publish_result(retrain_challenger(ports, collection, split_column, config, group_near_duplicates))
    return facts | {"decision": promote_flow(home=home)["decision"] if judge else None}
