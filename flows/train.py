"""Prefect flow of `vidpipe train`: training and registration of a model version, in one task."""

from typing import Any

from prefect import flow, task

from flows.executor import ports_of
from flows.shared import RETRIES, publish_result
from vidpipe.learning.training import TrainingConfig
from vidpipe.steps.train import TrainResult, train


@task(**RETRIES)
def train_challenger(
    home: str | None, collection: str, split_column: str | None, epochs: int | None, seed: int,
    group_near_duplicates: bool,
) -> TrainResult:  # fmt: skip
    """Train, log and register a version."""
    config = TrainingConfig(seed=seed, epochs=epochs)
    return train(
        ports_of(home), collection, split_column=split_column, config=config,
        group_near_duplicates=group_near_duplicates,
    )  # fmt: skip


@flow(name="train", flow_run_name="train-{collection}")
def train_flow(
    collection: str,
    split_column: str | None = None,
    epochs: int | None = None,
    seed: int = 0,
    group_near_duplicates: bool = False,
    home: str | None = None,
) -> dict[str, Any]:
    """Train on a labelled collection and register the version as challenger.

    Args:
        collection: A collection with labels.
        split_column: The manifest's column of train/val/test; cut by group when empty.
        epochs: Passes over the training videos; 40, more on few videos, when empty.
        seed: Seed of everything random.
        group_near_duplicates: Keep near-duplicates in one split; without it many are refused.
        home: Another home than the one that VIDPIPE_HOME names.
    """
    return publish_result(
        train_challenger(home, collection, split_column, epochs, seed, group_near_duplicates)
    )
