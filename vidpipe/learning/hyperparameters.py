"""Random hyperparameter search within a time budget.

default ──▶ random ──▶ random ──▶ … ──▶ │ stops where a trial as long as the longest would not fit
                                    budget_s
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from vidpipe.learning.training import TrainingConfig

T = TypeVar("T")

CHOICES: Mapping[str, Sequence[Any]] = {
    "head": ("attention", "mean", "max", "last"),
    "bidirectional": (True, False),
    "shortcut": (True, False),
    "hidden_size": (64, 128, 256),
    "projection": (64, 128, 256),
    "dropout": (0.1, 0.3, 0.5),
    "input_dropout": (0.0, 0.2, 0.4),
    "kind_dropout": (0.0, 0.3, 0.5),
    "weight_decay": (1e-3, 1e-2, 1e-1),
    "label_smoothing": (0.0, 0.05, 0.1, 0.2),
    "balance": (0.0, 0.5, 1.0),
}
"""Each as likely as the others of its line."""
LEARNING_RATES = (5e-4, 8e-3)
"""Log-uniform, to two digits."""
CROP_SHARES = (0.5, 1.0)
"""Uniform, to two digits."""


def configs(default: TrainingConfig) -> Iterator[TrainingConfig]:
    """Yield the default config, then random draws from the search space, without end or repetition.

    The default's seed is every config's, and that of the draws: a longer search begins with the shorter one.
    """
    rng = np.random.default_rng(default.seed)
    seen: set[TrainingConfig] = set()
    config = default
    while True:
        if config not in seen:
            seen.add(config)
            yield config
        config = _draw(default, rng)


def _draw(default: TrainingConfig, rng: np.random.Generator) -> TrainingConfig:
    chosen = {name: values[int(rng.integers(len(values)))] for name, values in CHOICES.items()}
    low, high = map(math.log, LEARNING_RATES)
    rate = float(f"{math.exp(rng.uniform(low, high)):.1e}")
    return replace(default, **chosen, learning_rate=rate, crop_share=round(rng.uniform(*CROP_SHARES), 2))


def within(budget_s: float, items: Iterable[T], clock: Callable[[], float] = time.monotonic) -> Iterator[T]:
    """Yield items while one more, as long as the longest so far, fits the time budget; at least one.

    An item lasts until the next one is asked for.
    """
    started = begun = clock()
    longest = 0.0
    for item in items:
        yield item
        now = clock()
        longest, begun = max(longest, now - begun), now
        if now - started + longest > budget_s:
            return


def difference(config: TrainingConfig, default: TrainingConfig) -> dict[str, Any]:
    """The parameters in which a config differs from the default."""
    theirs = default.parameters()
    return {name: value for name, value in config.parameters().items() if value != theirs[name]}
