"""Training of the mean + linear baseline (logistic regression on features averaged over time).

It ignores the order of frames: the LSTM's worth is what it scores above this.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from vidpipe.learning.calibration import EpochMetrics, calibrate, validate
from vidpipe.learning.classifier import ClassifierConfig, build, put_statistics
from vidpipe.records.models import Sequences

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Of the squared weights; validation chooses one."""


class BaselineTrainer:
    """Trains mean + linear to the optimum for each L2 penalty, one an epoch; validation loss chooses."""

    def __init__(self, train: Sequences, val: Sequences) -> None:
        self.planned = len(PENALTIES)
        D = train.features[0].shape[1]
        self.architecture = ClassifierConfig("mean_linear", D, len(train.labels))
        self.model = build(self.architecture)
        self._train, self._val = train, val
        means = np.stack([f.mean(0, dtype=np.float64) for f in train.features])
        put_statistics(self.model, means.mean(0), means.std(0))

    def epochs(self) -> Iterator[EpochMetrics]:
        """Try all penalties; afterwards `model` is the best one, calibrated."""
        x = torch.from_numpy(np.stack([f.mean(0) for f in self._train.features]))[:, None]  # (N, 1, D)
        ones, targets = torch.ones(len(x)), torch.from_numpy(self._train.targets)
        best_loss, best_weights = float("inf"), copy.deepcopy(self.model.state_dict())
        for epoch, penalty in enumerate(PENALTIES, start=1):
            loss, logits = self._fit(x, ones, targets, penalty)
            val_loss, val_accuracy = validate(self.model, self._val)
            right = float((logits.argmax(1) == targets).float().mean())
            yield EpochMetrics(epoch, loss, right, val_loss, val_accuracy)
            if val_loss < best_loss:
                best_loss, best_weights = val_loss, copy.deepcopy(self.model.state_dict())
        self.model.load_state_dict(best_weights)
        self.model.eval()
        calibrate(self.model, self._val)

    def _fit(
        self, x: torch.Tensor, lengths: torch.Tensor, targets: torch.Tensor, penalty: float
    ) -> tuple[float, torch.Tensor]:
        linear = self.model.get_submodule("linear")
        assert isinstance(linear, nn.Linear)
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
        optimizer = torch.optim.LBFGS(linear.parameters(), max_iter=100, line_search_fn="strong_wolfe")

        def loss() -> torch.Tensor:
            optimizer.zero_grad()
            fit = nn.functional.cross_entropy(self.model(x, lengths), targets)
            total: torch.Tensor = fit + penalty * linear.weight.square().sum()
            total.backward()  # type: ignore[no-untyped-call]
            return total

        optimizer.step(loss)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            logits = self.model(x, lengths)
            return float(nn.functional.cross_entropy(logits, targets)), logits
