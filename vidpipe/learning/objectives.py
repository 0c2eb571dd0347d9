"""Softmax and cross entropy for one label a video, sigmoids and log loss for several labels a video.

Everything that differs between the two kinds of classifier in training and scoring stands here. Targets say
which it is: N indices where each video has one of K labels, (N, K) of zeros and ones where it may have
several. A part's evidence for a label is its log probability in the first case, its log odds in the second;
both can be weighed and added up.

    one label        logits ──softmax──▶ probabilities that sum to 1       evidence: log p
    several labels   logits ──sigmoid──▶ a probability of each label       evidence: log p / (1 - p)

Source: Bishop, Pattern Recognition and Machine Learning (2006), sections 4.3.2 and 4.3.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from vidpipe.records.videos import Doubles, Floats

Outputs = Literal["softmax", "sigmoid"]
Indices = npt.NDArray[np.int64]
Loss = Callable[[torch.Tensor, torch.Tensor], Any]
"""Logits (B, K) and targets to the mean loss, a tensor."""

FLOOR = 1e-3
"""Share of every part's probability that is spread over all labels: no part forbids a label by itself."""
LEAST = 1e-9
"""Least probability whose logarithm is taken."""


class Objective(Protocol):
    """Meaning of a classifier's outputs, and their comparison with the truth."""

    outputs: Outputs

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities (n, K) of logits."""

    def evidence(self, logits: torch.Tensor) -> torch.Tensor:
        """Evidence (n, K) of logits."""

    def evidence_of_logits(self, logits: Doubles) -> Doubles:
        """Evidence (n, K) of logits, in NumPy."""

    def evidence_of(self, probabilities: Floats | Doubles) -> Doubles:
        """Evidence (n, K) of a network's scores."""

    def floored(self, evidence: torch.Tensor) -> torch.Tensor:
        """Evidence (n, K) with `FLOOR` of the probability spread over all labels."""

    def truth(self, targets: Indices, K: int) -> Doubles:
        """Targets as (N, K) of zeros and ones."""

    def smoothed(self, targets: Indices, K: int) -> Doubles:
        """Truth (n, K) that counts as (n + 1) / (n + 2), not as certain."""

    def shares(self, targets: Indices, used: npt.NDArray[np.bool_], K: int, balance: float) -> Doubles:
        """Sample weights of the videos of a fit, (N,), whose sum is 1; 0 for those that are not used."""

    def network_loss(self, targets: Indices, K: int, balance: float, smoothing: float) -> Loss:
        """Loss of a network in training on these targets."""

    def first_bias(self, targets: Indices, K: int) -> torch.Tensor | None:
        """Bias (K,) that a last layer starts from; None: PyTorch's own."""

    def right(self, logits: torch.Tensor, targets: torch.Tensor) -> float:
        """Number of right answers among B videos."""

    def losses(self, logits: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss of every logit (..., K), and its derivative; the logits are used up."""

    def fit(self, logits: Doubles, truth: Doubles) -> tuple[float, Doubles]:
        """Log likelihood of the truth (n, K) under added-up evidence, and the probabilities (n, K)."""

    def log_scores(self, evidence: Doubles, targets: Indices) -> Doubles:
        """Log probability of each video's truth, (n,)."""

    def log_scores_of(self, probabilities: Doubles, targets: Indices) -> Doubles:
        """Log probability of each video's truth, (n,), from probabilities."""


def objective_of(targets: Indices) -> Objective:
    """The objective of targets: (N,) are of one label a video, (N, K) of several."""
    return Sigmoid() if targets.ndim == 2 else Softmax()


def objective_named(outputs: Outputs) -> Objective:
    """The objective of a trained part."""
    return Sigmoid() if outputs == "sigmoid" else Softmax()


class Softmax:
    """One label a video: cross entropy."""

    outputs: Outputs = "softmax"

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return torch.softmax(logits, dim=1)

    def evidence(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.log_softmax(1)

    def evidence_of_logits(self, logits: Doubles) -> Doubles:
        found: Doubles = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        return found

    def evidence_of(self, probabilities: Floats | Doubles) -> Doubles:
        found: Doubles = np.log(np.clip(probabilities.astype(np.float64), LEAST, 1.0))
        return found

    def floored(self, evidence: torch.Tensor) -> torch.Tensor:
        return torch.log(evidence.exp() * (1 - FLOOR) + FLOOR / evidence.shape[1])

    def truth(self, targets: Indices, K: int) -> Doubles:
        return np.eye(K)[targets]

    def smoothed(self, targets: Indices, K: int) -> Doubles:
        n = len(targets)
        found = np.full((n, K), 1 / (n + 2) / max(K - 1, 1))
        found[np.arange(n), targets] = (n + 1) / (n + 2)
        return found

    def shares(self, targets: Indices, used: npt.NDArray[np.bool_], K: int, balance: float) -> Doubles:
        videos = np.bincount(targets[used], minlength=K).clip(min=1)
        of_video = (videos.astype(np.float64) ** -balance)[targets] * used
        found: Doubles = of_video / of_video.sum()
        return found

    def network_loss(self, targets: Indices, K: int, balance: float, smoothing: float) -> Loss:
        return nn.CrossEntropyLoss(label_weights(targets, K, balance), label_smoothing=smoothing)

    def first_bias(self, targets: Indices, K: int) -> None:
        return None

    def right(self, logits: torch.Tensor, targets: torch.Tensor) -> float:
        return int((logits.argmax(1) == targets).sum())

    def losses(self, logits: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logs = logits.log_softmax(-1)
        loss = -(logs * truth)
        return loss, logs.exp_() - truth

    def fit(self, logits: Doubles, truth: Doubles) -> tuple[float, Doubles]:
        normed = self.evidence_of_logits(logits)
        return (truth * normed).sum(), np.exp(normed)

    def log_scores(self, evidence: Doubles, targets: Indices) -> Doubles:
        return evidence[np.arange(len(targets)), targets]

    def log_scores_of(self, probabilities: Doubles, targets: Indices) -> Doubles:
        found: Doubles = np.log(probabilities[np.arange(len(targets)), targets])
        return found


class Sigmoid:
    """Several labels a video: log loss of each label by itself.

    No label counts more for being rare, since each is a question of its own; what a rare label's low scores
    mean is up to its threshold.
    """

    outputs: Outputs = "sigmoid"

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(logits)

    def evidence(self, logits: torch.Tensor) -> torch.Tensor:
        return logits

    def evidence_of_logits(self, logits: Doubles) -> Doubles:
        return logits

    def evidence_of(self, probabilities: Floats | Doubles) -> Doubles:
        p = np.clip(probabilities.astype(np.float64), LEAST, 1 - LEAST)
        found: Doubles = np.log(p) - np.log1p(-p)
        return found

    def floored(self, evidence: torch.Tensor) -> torch.Tensor:
        p = evidence.sigmoid() * (1 - FLOOR) + FLOOR / 2
        return torch.log(p) - torch.log1p(-p)

    def truth(self, targets: Indices, K: int) -> Doubles:
        return targets.astype(np.float64)

    def smoothed(self, targets: Indices, K: int) -> Doubles:
        n = len(targets)
        return np.where(targets > 0, (n + 1) / (n + 2), 1 / (n + 2))

    def shares(self, targets: Indices, used: npt.NDArray[np.bool_], K: int, balance: float) -> Doubles:
        found: Doubles = used / used.sum()
        return found

    def network_loss(self, targets: Indices, K: int, balance: float, smoothing: float) -> Loss:
        usual = torch.from_numpy(_prevalence(targets)).float()

        def loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
            aim = truth * (1 - smoothing) + usual * smoothing  # towards the label's own share, not a half
            return functional.binary_cross_entropy_with_logits(logits, aim)

        return loss

    def first_bias(self, targets: Indices, K: int) -> torch.Tensor:
        p = _prevalence(targets)
        return torch.from_numpy(np.log(p / (1 - p))).float()

    def right(self, logits: torch.Tensor, targets: torch.Tensor) -> float:
        return float(((logits > 0) == (targets > 0)).float().mean(1).sum())

    def losses(self, logits: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        loss = functional.softplus(logits) - logits * truth
        return loss, logits.sigmoid_() - truth

    def fit(self, logits: Doubles, truth: Doubles) -> tuple[float, Doubles]:
        return (truth * logits - np.logaddexp(0, logits)).sum(), _logistic(logits)

    def log_scores(self, evidence: Doubles, targets: Indices) -> Doubles:
        found: Doubles = (targets * evidence - np.logaddexp(0, evidence)).sum(1)
        return found

    def log_scores_of(self, probabilities: Doubles, targets: Indices) -> Doubles:
        found: Doubles = np.log(np.where(targets > 0, probabilities, 1 - probabilities)).sum(1)
        return found


def label_weights(targets: Indices, K: int, balance: float) -> torch.Tensor:
    """Class weights of a cross entropy, (K,), with a mean of 1 over the videos."""
    videos = np.bincount(targets, minlength=K).clip(min=1)
    weights = videos.astype(np.float64) ** -balance
    return torch.from_numpy(weights * videos.sum() / (weights @ videos)).float()


def _prevalence(targets: Indices) -> Doubles:
    """Share of the videos that have each label, (K,), never 0 or 1 (Laplace's rule of succession)."""
    found: Doubles = (targets.sum(0) + 1) / (len(targets) + 2)
    return found


def _logistic(x: Doubles) -> Doubles:
    found: Doubles = 0.5 * (1 + np.tanh(x / 2))
    return found
