"""The classifiers: an LSTM over per-frame features, and the mean + linear baseline beside it.

The LSTM, step by step, with [h, x] the concatenation, s the logistic function, * element-wise:

    f_t = s(W_f [h_{t-1}, x_t] + b_f)        forget gate: what of the cell state stays
    i_t = s(W_i [h_{t-1}, x_t] + b_i)        input gate: what of the news comes in
    g_t = tanh(W_c [h_{t-1}, x_t] + b_c)     the news
    c_t = f_t * c_{t-1} + i_t * g_t          cell state
    o_t = s(W_o [h_{t-1}, x_t] + b_o)        output gate: what of the cell state shows
    h_t = o_t * tanh(c_t)                    hidden state

The last *valid* hidden state of each sequence goes through a linear layer; softmax gives scores.
A test holds `nn.LSTM`, as used here, to these equations.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from vidpipe.records import Floats

Kind = Literal["lstm", "mean_linear"]

INPUT_SCALE = 0.2
"""Standardised features times this enter the LSTM. At full scale a thousand of them saturate its gates:
on clips that differ only in the order of events, test accuracy falls from 1.00 to 0.96."""


@dataclass(frozen=True, slots=True)
class ClassifierConfig:
    """Everything needed to build the network again; saved beside the weights, checked on loading."""

    kind: Kind
    input_size: int
    """D."""
    num_classes: int
    """K."""
    hidden_size: int = 256
    num_layers: int = 1
    dropout: float = 0.3
    input_scale: float = INPUT_SCALE

    def to_json(self) -> str:
        """As stored in the model version."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> ClassifierConfig:
        """Rebuild a config from `to_json`."""
        return cls(**json.loads(text))


class LSTMVideoClassifier(nn.Module):
    """(batch, time, features) to logits: LSTM, last valid hidden state, linear layer.

    Features are first standardised with the training set's mean and deviation, which travel with
    the weights as buffers.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        num_classes: int,
        dropout: float = 0.0,
        input_scale: float = INPUT_SCALE,
    ) -> None:
        super().__init__()
        self.input_scale = input_scale
        self.register_buffer("mean", torch.zeros(input_size))
        self.register_buffer("deviation", torch.ones(input_size))
        self.lstm = nn.LSTM(
            input_size,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden_size, num_classes)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Logits (N, K) of padded sequences x (N, T, D) with their valid lengths (N,)."""
        x = self.dropout((x - self.mean) / self.deviation * self.input_scale)
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        _, (hidden, _) = self.lstm(packed)  # zero initial states; hidden is at each last valid step
        logits: torch.Tensor = self.linear(self.dropout(hidden[-1]))
        return logits


class MeanLinearClassifier(nn.Module):
    """The baseline that ignores time: the mean over valid frames, then a linear layer."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, input_size: int, num_classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(input_size))
        self.register_buffer("deviation", torch.ones(input_size))
        self.linear = nn.Linear(input_size, num_classes)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Logits (N, K) of padded sequences x (N, T, D) with their valid lengths (N,)."""
        valid = torch.arange(x.shape[1], device=x.device)[None, :] < lengths[:, None]
        means = (x * valid[..., None]).sum(1) / lengths[:, None]
        logits: torch.Tensor = self.linear((means - self.mean) / self.deviation)
        return logits


def build(config: ClassifierConfig) -> nn.Module:
    """An untrained network."""
    if config.kind == "mean_linear":
        return MeanLinearClassifier(config.input_size, config.num_classes)
    return LSTMVideoClassifier(
        config.input_size,
        config.hidden_size,
        config.num_layers,
        config.num_classes,
        dropout=config.dropout,
        input_scale=config.input_scale,
    )


def pad(features: Sequence[Floats]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack sequences (T_i, D) to (N, max T, D), zeros behind, with their lengths (N,)."""
    # A copy: stored features are read-only views of a memory map.
    tensors = [torch.from_numpy(np.array(f, np.float32)) for f in features]
    lengths = torch.tensor([len(t) for t in tensors])
    return pad_sequence(tensors, batch_first=True), lengths
