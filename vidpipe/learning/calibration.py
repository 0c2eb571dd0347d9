"""Validation loss and temperature scaling of a network in training, and the interface of trainers.

Every trainer yields the same metrics, so that the LSTM and its baseline can be watched side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn

from vidpipe.learning.classifier import ClassifierConfig
from vidpipe.learning.inference import predict
from vidpipe.records.models import Sequences

TEMPERATURES = np.geomspace(0.25, 4.0, 81)
LEAST_TO_CALIBRATE = 10
"""Fewer validation videos say nothing of a temperature."""


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """Metrics of one epoch of one network."""

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float | None = None
    val_accuracy: float | None = None


class Trainer(Protocol):
    """Interface of a trainer of one network: iterate `epochs()`, then take `model`."""

    architecture: ClassifierConfig
    planned: int
    """Epochs to come."""

    @property
    def model(self) -> nn.Module:
        """The trained network."""
        ...

    def epochs(self) -> Iterator[EpochMetrics]:
        """Train; yields metrics after each epoch."""
        ...


def validate(model: nn.Module, val: Sequences) -> tuple[float, float]:
    """Cross entropy and accuracy on the validation videos."""
    scores = predict(model, val.features)  # (N, K)
    of_truth = scores[np.arange(len(val)), val.targets]
    loss = float(-np.log(np.clip(of_truth, 1e-12, 1.0)).mean())
    return loss, float((scores.argmax(1) == val.targets).mean())


def calibrate(model: nn.Module, val: Sequences) -> float:
    """Temperature scaling: divide the last layer by the temperature of lowest validation loss; returns it.

    Labels stay as they are; scores come nearer to the share of right answers among their like. The truth
    counts as (n + 1) / (n + 2), not as certain: a few right answers do not prove the next one.

    Source: Guo et al., On Calibration of Modern Neural Networks (2017), section 4.2; the smoothing is that of
    Platt, Probabilistic Outputs for Support Vector Machines (1999), section 2.2.
    """
    n, K = len(val), len(val.labels)
    if n < LEAST_TO_CALIBRATE:
        return 1.0
    scores = predict(model, val.features).astype(np.float64)
    logits = np.log(np.clip(scores, 1e-12, 1))  # but for a constant
    truth = np.full((n, K), 1 / (n + 2) / max(K - 1, 1))
    truth[np.arange(n), val.targets] = (n + 1) / (n + 2)
    losses = []
    for temperature in TEMPERATURES:
        scaled = logits / temperature
        normed = scaled - np.log(np.exp(scaled).sum(1, keepdims=True))
        losses.append(-(truth * normed).sum(1).mean())
    best = float(TEMPERATURES[int(np.argmin(losses))])
    linear = model.get_submodule("linear")
    assert isinstance(linear, nn.Linear)
    with torch.no_grad():
        linear.weight.div_(best)
        linear.bias.div_(best)
    return best
