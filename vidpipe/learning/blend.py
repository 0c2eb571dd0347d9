"""Logarithmic opinion pool (wide and deep): an LSTM and linear heads, blended by non-negative weights.

    features (T, D) ─┬─▶ statistics over time ─▶ a convex linear head for each ─┐
                     └─▶ LSTM ──────────────────────────────────────────────────┴▶ weighted sum ─▶ softmax

Source: Cheng et al., Wide & Deep Learning for Recommender Systems (2016); Genest and Zidek, Combining
Probability Distributions (1986), section 3, for the logarithmic pool.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from vidpipe.learning.classifier import LSTMVideoClassifier
from vidpipe.learning.linear import LinearHead

FLOOR = 1e-3
"""Share of every part's probability that is spread over all labels: no part forbids a label by itself."""


class BlendedClassifier(nn.Module):
    """The LSTM and the linear heads that have a weight above 0."""

    def __init__(
        self, lstm: LSTMVideoClassifier, linear: Mapping[str, LinearHead], weights: Mapping[str, float]
    ) -> None:
        """Blend the parts.

        Args:
            lstm: The part `lstm`.
            linear: The other parts by name.
            weights: Of every part by name, 0 or more.
        """
        super().__init__()
        self.lstm = lstm
        self.heads = {name: head for name, head in linear.items() if weights[name] > 0}
        self.weights = dict(weights)


def floored(log_probabilities: torch.Tensor) -> torch.Tensor:
    """Log probabilities (n, K) with `FLOOR` of the probability spread over all labels."""
    return torch.log(log_probabilities.exp() * (1 - FLOOR) + FLOOR / log_probabilities.shape[1])
