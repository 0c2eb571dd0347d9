"""Ports of MLflow training runs, the model registry, and model bundles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from vidpipe.records.features import (
    FeatureSpec,
)
from vidpipe.records.models import (
    AttentionStrip,
    CrossValidation,
    LabelDecisions,
    LoggedEvaluation,
    ModelVersion,
)
from vidpipe.records.videos import (
    Floats,
)

if TYPE_CHECKING:  # torch takes a second to load and numpy 0.1, which `vidpipe status` does not have
    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from vidpipe.evaluation.model_card import TrainingRecord
    from vidpipe.learning.classifier import ClassifierConfig


class ModelBundle(Protocol):
    """A trained classifier with its parts and baselines, and what they were made from; read-only."""

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def spec(self) -> FeatureSpec: ...
    @property
    def split_ids(self) -> Mapping[str, Sequence[str]]: ...
    @property
    def training_groups(self) -> Sequence[str]: ...
    @property
    def lstm(self) -> nn.Module: ...
    @property
    def lstm_config(self) -> ClassifierConfig: ...
    @property
    def classifier(self) -> nn.Module: ...
    @property
    def parts(self) -> Mapping[str, nn.Module]: ...
    @property
    def weights(self) -> Mapping[str, float]: ...
    @property
    def baselines(self) -> Mapping[str, nn.Module]: ...
    @property
    def cross_validation(self) -> CrossValidation | None: ...
    @property
    def decisions(self) -> LabelDecisions | None: ...
    def thresholds(self, name: str = ...) -> tuple[float, ...] | None: ...


class TrainingRun(Protocol):
    """An open MLflow run."""

    mlflow_run_id: str

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None: ...
    def log_scores(
        self,
        name: str,
        labels: Sequence[str],
        truth: npt.NDArray[np.int64],
        given: Floats,
        table: Mapping[str, Any],
    ) -> None: ...
    def log_attention(self, strips: Sequence[AttentionStrip]) -> None: ...
    def log_facts(self, name: str, facts: Mapping[str, Any]) -> None: ...
    def trial(self, name: str, parameters: Mapping[str, Any]) -> AbstractContextManager[TrainingRun]: ...
    def register(self, bundle: Any, record: TrainingRecord) -> ModelVersion: ...


class EvaluationLog(Protocol):
    """Log of what was measured of versions and decided about them."""

    def log(self, found: LoggedEvaluation) -> str: ...


class Registry(Protocol):
    """Registry of training runs, model versions and aliases."""

    model: str

    @property
    def evaluations(self) -> EvaluationLog: ...

    def training_run(
        self, name: str, parameters: Mapping[str, Any], *, only: bool = False
    ) -> AbstractContextManager[TrainingRun]: ...
    def find(self, fingerprint: str) -> ModelVersion | None: ...
    def aliases(self) -> dict[str, int]: ...
    def set_alias(self, alias: str, version: int) -> None: ...
    def drop_alias(self, alias: str) -> None: ...
    def version(self, selector: str) -> ModelVersion: ...
    def versions(self) -> list[ModelVersion]: ...
    def load(self, version: ModelVersion) -> ModelBundle: ...
    def kept(self, number: int, digest: str | None = None) -> ModelVersion: ...
    def sweep(self, serving: Iterable[int], older_than_s: float) -> tuple[int, int]: ...
