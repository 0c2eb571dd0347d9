"""LSTM training loop (AdamW, random crops, dropout), which yields metrics after each epoch.

data ──▶ standardise ──▶ epochs: shuffle, crop, forward, loss, step ──▶ validate, if asked
                              ▲                                            │
                              └────────────────────────────────────────────┘

The finished model is that of the last epoch, where the learning rate has come down to nothing. The epoch of
the lowest validation loss is a bad choice where labels are hard to tell apart: the fourth of forty, and 0.46
right instead of 0.61 (task `movement` of benchmarks/accuracy.py). Overconfident scores are corrected by the
weights of `cross_fitting.py` or by temperature scaling.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from queue import SimpleQueue
from threading import Event
from typing import Any

import numpy as np
import torch
from torch import nn

from vidpipe import cores
from vidpipe.learning.calibration import EpochMetrics, calibrate, validate
from vidpipe.learning.classifier import ClassifierConfig, Head, LSTMVideoClassifier, pack, put_statistics
from vidpipe.learning.objectives import objective_of
from vidpipe.records.models import Sequences
from vidpipe.records.videos import Floats

LEAST_STEPS = 120
"""A training on few videos has as many epochs as this asks for."""
LEAST_FRAMES = 3
"""A crop keeps so many."""
RISE = 0.2
"""Share of all steps in which the learning rate rises, before it falls along a cosine (one cycle)."""


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Hyperparameters of training. The defaults suit a few dozen to a few thousand short videos.

    benchmarks/accuracy.py measures what each of them is worth.
    """

    epochs: int | None = None
    """None: 40, and more on few videos."""
    seed: int = 0
    batch_videos: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.1
    balance: float = 0.5
    """A video counts by its label's number of videos to the power of minus this: 0 is not at all, at 1 each
    label counts the same. Half-way rare labels are learnt, and few videos do not shout."""
    crop_share: float = 0.75
    """Each time a video is shown, it is cut to a random span of at least this share of its frames."""
    hidden_size: int = 128
    num_layers: int = 1
    dropout: float = 0.5
    input_dropout: float = 0.2
    kind_dropout: float = 0.0
    """0.3 is worth two points where scenes tell few-shot labels apart, and costs ten where motion does."""
    head: Head = "attention"
    bidirectional: bool = True
    projection: int = 128
    shortcut: bool = True

    def parameters(self) -> dict[str, Any]:
        """Hyperparameters as logged in MLflow."""
        return asdict(self)

    def plain(self) -> TrainingConfig:
        """Config of the textbook LSTM: one direction, its last hidden state through a linear layer."""
        return replace(
            self, hidden_size=256, head="last", bidirectional=False, projection=0, shortcut=False,
            learning_rate=1e-3, input_dropout=0.3, kind_dropout=0.0, dropout=0.3,
            balance=0.0,
        )  # fmt: skip

    def architecture(self, input_size: int, num_classes: int, blocks: Sequence[int] = ()) -> ClassifierConfig:
        """Architecture for D features in groups of these sizes, and K labels."""
        return ClassifierConfig(
            kind="lstm", input_size=input_size, num_classes=num_classes,
            hidden_size=self.hidden_size, num_layers=self.num_layers,
            dropout=self.dropout, input_dropout=self.input_dropout, kind_dropout=self.kind_dropout,
            head=self.head, bidirectional=self.bidirectional,
            blocks=tuple(blocks) or (input_size,), projection=self.projection, shortcut=self.shortcut,
        )  # fmt: skip

    def epochs_for(self, videos: int) -> int:
        """Number of epochs for so many training videos."""
        return self.epochs or max(40, -(-LEAST_STEPS // -(-videos // self.batch_videos)))


@dataclass(frozen=True, slots=True)
class Start:
    """Warm start: a trained network and the labels that it knows."""

    model: nn.Module
    config: ClassifierConfig
    labels: Sequence[str]


class LSTMTrainer:
    """Trains the LSTM; see `Trainer`."""

    def __init__(
        self,
        train: Sequences,
        val: Sequences | None,
        config: TrainingConfig,
        blocks: Sequence[int] = (),
        start: Start | None = None,
    ) -> None:
        """Prepare a network.

        Args:
            train: What it learns from.
            val: Scored after every epoch, and chooses the temperature; None: neither is done.
            config: How.
            blocks: Sizes of the kinds of features, which sum to D; default: one kind.
            start: Where it starts from; default: from random weights.
        """
        self.config = config
        self.planned = config.epochs_for(len(train))
        D = train.features[0].shape[1]
        self._objective = objective_of(train.targets)
        made = config.architecture(D, len(train.labels), blocks)
        self.architecture = replace(made, outputs=self._objective.outputs)
        self._train, self._val = train, val
        torch.manual_seed(config.seed)
        if start:
            self.architecture = replace(start.config, num_classes=len(train.labels))
        self.model = LSTMVideoClassifier(self.architecture)
        if start:
            _take_over(self.model, start, train.labels)
        else:
            _standardise(self.model, train)
            _start_from_prevalence(self.model, self._objective.first_bias(train.targets, len(train.labels)))
        self._loss = self._objective.network_loss(
            train.targets, len(train.labels), config.balance, config.label_smoothing
        )
        self.model.rng = torch.Generator().manual_seed(config.seed)
        self._rng = np.random.default_rng(config.seed)

    def epochs(self) -> Iterator[EpochMetrics]:
        """Train to the last epoch; afterwards `model` is finished and calibrated."""
        config, model = self.config, self.model
        cores.keep_freed_memory()
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        steps = self.planned * -(-len(self._train) // config.batch_videos)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.learning_rate, total_steps=max(steps, 2), pct_start=RISE
        )
        for epoch in range(1, self.planned + 1):
            train_loss, train_accuracy = self._one_epoch(optimizer, schedule)
            of_val = validate(model, self._val) if self._val else (None, None)
            yield EpochMetrics(epoch, train_loss, train_accuracy, *of_val)
        model.eval()
        if self._val:
            calibrate(model, self._val)

    def _one_epoch(
        self, optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler
    ) -> tuple[float, float]:
        self.model.train()
        loss_sum, hits = 0.0, 0.0
        for chosen in _batches(len(self._train), self.config.batch_videos, self._rng):
            crops = [_crop(self._train.features[i], self.config.crop_share, self._rng) for i in chosen]
            packed, lengths = pack(crops)
            targets = torch.from_numpy(self._train.targets[chosen])  # (B,) or (B, K)
            logits = self.model.logits(packed, lengths)  # (B, K)
            loss = self._loss(logits, targets)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            loss_sum += loss.item() * len(chosen)
            hits += self._objective.right(logits, targets)
        return loss_sum / len(self._train), hits / len(self._train)


def side_by_side(trainers: Sequence[LSTMTrainer]) -> Iterator[tuple[LSTMTrainer, EpochMetrics]]:
    """Run independent trainings in parallel, one core each: the same weights on any number of cores.

    The first ones begin first. An error of one of them stops all.
    """
    said: SimpleQueue[tuple[LSTMTrainer, EpochMetrics] | Future[None]] = SimpleQueue()
    stopped = Event()

    def train(trainer: LSTMTrainer) -> None:
        for metrics in trainer.epochs():
            said.put((trainer, metrics))
            if stopped.is_set():
                return

    with cores.one_each(min(cores.count(), len(trainers))) as pool:
        try:
            running = {pool.submit(train, trainer) for trainer in trainers}
            for future in running:
                future.add_done_callback(said.put)
            while running:
                news = said.get()
                if isinstance(news, Future):
                    running.remove(news)
                    news.result()
                else:
                    yield news
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)


def _batches(
    count: int, batch_videos: int, rng: np.random.Generator
) -> Iterator[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    order = rng.permutation(count)
    for start in range(0, count, batch_videos):
        yield order[start : start + batch_videos]


def _crop(features: Floats, least_share: float, rng: np.random.Generator) -> Floats:
    """Random temporal crop: a span of frames of at least this share."""
    T = len(features)
    kept = max(min(LEAST_FRAMES, T), round(T * rng.uniform(least_share, 1.0)))
    start = rng.integers(T - kept + 1)
    return features[start : start + kept]


def _standardise(model: nn.Module, train: Sequences) -> None:
    """Store the training frames' mean and deviation in the model, one video at a time."""
    count = sum(len(f) for f in train.features)
    mean = sum(f.sum(0, dtype=np.float64) for f in train.features) / count
    variance = sum(((f - mean) ** 2).sum(0, dtype=np.float64) for f in train.features) / count
    put_statistics(model, np.asarray(mean), np.sqrt(np.asarray(variance)))


def _start_from_prevalence(model: LSTMVideoClassifier, bias: torch.Tensor | None) -> None:
    """Let the last layer start from how common each label is, where the objective says so."""
    if bias is not None:
        with torch.no_grad():
            model.linear.bias.copy_(bias)


def _take_over(model: nn.Module, start: Start, labels: Sequence[str]) -> None:
    """Copy weights and statistics of the warm start; of the last layer, the rows of known labels."""
    weights = start.model.state_dict()
    mine = model.state_dict()
    known = [(k, start.labels.index(label)) for k, label in enumerate(labels) if label in start.labels]
    for name in ("linear.weight", "linear.bias"):
        fresh = mine[name] * 0.0
        for k, theirs in known:
            fresh[k] = weights[name][theirs]
        weights[name] = fresh
    model.load_state_dict(weights)
