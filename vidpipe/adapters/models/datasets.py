"""MLflow datasets of labelled videos, and a version's metrics linked with them and with its logged model.

MLflow's Models tab ranks logged models by the metrics of one dataset.
This module imports MLflow, which takes seconds: import it where a run is logged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import mlflow
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset

from vidpipe.evaluation.model_card import TrainingRecord

_DIGEST_LENGTH = 36
"""Source: the column `digest` of mlflow/store/tracking/dbmodels/models.py, `SqlDataset`."""


class LabelledVideos(MetaDataset):
    """Dataset of labelled videos by name and hash; its profile is the number of videos of each label."""

    def __init__(self, name: str, dataset_hash: str, videos: Mapping[str, int] | None = None) -> None:
        self._videos = dict(videos or {})
        source = CodeDatasetSource({"vidpipe.hash": dataset_hash})
        super().__init__(source, name=name, digest=dataset_hash[:_DIGEST_LENGTH])

    @property
    def profile(self) -> dict[str, int]:
        """Number of videos of each label."""
        return self._videos

    def to_dict(self) -> dict[str, str]:
        """Fields as MLflow stores them, with the profile as JSON."""
        found: dict[str, str] = super().to_dict()
        return {**found, "profile": json.dumps(self._videos)} if self._videos else found


def log_training(record: TrainingRecord, model_id: str) -> None:
    """Log the splits of a training as datasets of the open run, and each metric with the split it is of.

    Args:
        record: The training.
        model_id: MLflow's id of the logged model.
    """
    splits = {
        split: LabelledVideos(f"{record.collection} {split}", record.dataset_hash, counts)
        for split, counts in record.videos.items()
        if counts
    }
    for split, dataset in splits.items():
        mlflow.log_input(dataset, context=split)
    of_test = {name: value for name, value in record.metrics().items() if "test_" in name}
    others = {name: value for name, value in record.metrics().items() if name not in of_test}
    for split, metrics in (("test", of_test), ("train", others)):
        mlflow.log_metrics(metrics, model_id=model_id, dataset=splits.get(split))
