"""Logarithmic opinion pool (wide and deep): an LSTM and linear heads, blended by non-negative weights.

    features (T, D) ─┬─▶ statistics over time ─▶ a convex linear head for each ─┐
                     └─▶ LSTM ──────────────────────────────────────────────────┴▶ weighted sum ─▶ softmax

Source: Cheng et al., Wide & Deep Learning for Recommender Systems (2016); Genest and Zidek, Combining
Probability Distributions (1986), section 3, for the logarithmic pool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from vidpipe.learning.classifier import LSTMVideoClassifier
from vidpipe.learning.linear import LinearHead

Calibration = tuple[Sequence[float], Sequence[float]]
"""Scale and shift of each label's log odds, K of both (Platt scaling)."""


class BlendedClassifier(nn.Module):
    """The LSTM and the linear heads that have a weight above 0."""

    def __init__(
        self,
        lstm: LSTMVideoClassifier,
        linear: Mapping[str, LinearHead],
        weights: Mapping[str, float],
        calibration: Calibration | None = None,
    ) -> None:
        """Blend the parts.

        Args:
            lstm: The part `lstm`.
            linear: The other parts by name.
            weights: Of every part by name, 0 or more.
            calibration: Of every label; only where a video may have several.
        """
        super().__init__()
        self.lstm = lstm
        self.heads = {name: head for name, head in linear.items() if weights[name] > 0}
        self.weights = dict(weights)
        self.calibration = calibration

    def calibrated(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits (n, K) of the blend, after the calibration of each label."""
        if self.calibration is None:
            return logits
        scale, shift = (torch.tensor(values, dtype=torch.float64) for values in self.calibration)
        return logits * scale + shift
