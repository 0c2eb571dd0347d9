"""Training: a loop that yields one line of metrics per epoch and keeps the best weights.

data ──▶ standardise ──▶ epochs: shuffle, forward, loss, step ──▶ validate ──▶ best so far?
                              ▲                                        │
                              └────────── until patience ends ─────────┘
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import nn

from vidpipe.classifier import ClassifierConfig, Kind, build, pad
from vidpipe.inference import predict
from vidpipe.records import Sequences


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How a classifier is trained. The defaults suit a few hundred to a few thousand short videos."""

    epochs: int = 40
    seed: int = 0
    batch_videos: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.05
    patience: int = 12
    """Epochs without a better validation loss before it ends."""
    hidden_size: int = 256
    num_layers: int = 1
    dropout: float = 0.3

    def parameters(self) -> dict[str, int | float]:
        """As logged in MLflow."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """One epoch of one network."""

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float


class Trainer:
    """Trains one network: iterate `epochs()`, then take `model`, the best one by validation loss."""

    def __init__(self, kind: Kind, train: Sequences, val: Sequences, config: TrainingConfig) -> None:
        self.config = config
        self.architecture = ClassifierConfig(
            kind=kind,
            input_size=train.features[0].shape[1],
            num_classes=len(train.labels),
            hidden_size=config.hidden_size,
            num_layers=config.num_layers,
            dropout=config.dropout,
        )
        self._train, self._val = train, val
        torch.manual_seed(config.seed)
        self.model = build(self.architecture)
        _standardise(self.model, train)

    def epochs(self) -> Iterator[EpochMetrics]:
        """Train until the epochs or the patience end; afterwards `model` holds the best weights."""
        config, model = self.config, self.model
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.epochs)
        shuffle = np.random.default_rng(config.seed)
        best_loss, best_epoch, best_weights = float("inf"), 0, copy.deepcopy(model.state_dict())
        for epoch in range(1, config.epochs + 1):
            train_loss, train_accuracy = self._one_epoch(optimizer, shuffle)
            schedule.step()
            val_loss, val_accuracy = _validate(model, self._val)
            yield EpochMetrics(epoch, train_loss, train_accuracy, val_loss, val_accuracy)
            if val_loss < best_loss:
                best_loss, best_epoch = val_loss, epoch
                best_weights = copy.deepcopy(model.state_dict())
            if epoch - best_epoch >= config.patience:
                break
        model.load_state_dict(best_weights)
        model.eval()

    def _one_epoch(
        self, optimizer: torch.optim.Optimizer, shuffle: np.random.Generator
    ) -> tuple[float, float]:
        self.model.train()
        loss_of = nn.CrossEntropyLoss(label_smoothing=self.config.label_smoothing)
        loss_sum, hits = 0.0, 0
        for chosen in _batches(self._train, self.config.batch_videos, shuffle):
            x, lengths = pad([self._train.features[i] for i in chosen])  # (B, T, D), (B,)
            targets = torch.from_numpy(self._train.targets[chosen])  # (B,)
            logits = self.model(x, lengths)  # (B, K)
            loss = loss_of(logits, targets)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimizer.step()
            loss_sum += loss.item() * len(chosen)
            hits += int((logits.argmax(1) == targets).sum())
        return loss_sum / len(self._train), hits / len(self._train)


def _batches(
    data: Sequences, batch_videos: int, shuffle: np.random.Generator
) -> Iterator[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    order = shuffle.permutation(len(data))
    for start in range(0, len(order), batch_videos):
        yield order[start : start + batch_videos]


def _standardise(model: nn.Module, train: Sequences) -> None:
    """Store the training frames' mean and deviation in the model, one video at a time."""
    count = sum(len(f) for f in train.features)
    mean = sum(f.sum(0, dtype=np.float64) for f in train.features) / count
    variance = sum(((f - mean) ** 2).sum(0, dtype=np.float64) for f in train.features) / count
    model.get_buffer("mean").copy_(torch.from_numpy(np.asarray(mean)))
    model.get_buffer("deviation").copy_(torch.from_numpy(np.sqrt(np.asarray(variance)) + 1e-3))


def _validate(model: nn.Module, val: Sequences) -> tuple[float, float]:
    """Cross entropy and accuracy on the validation videos."""
    scores = predict(model, val.features)  # (N, K)
    of_truth = scores[np.arange(len(val)), val.targets]
    loss = float(-np.log(np.clip(of_truth, 1e-12, 1.0)).mean())
    return loss, float((scores.argmax(1) == val.targets).mean())
