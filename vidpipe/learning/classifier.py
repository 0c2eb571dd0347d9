"""LSTM video classifier over per-frame features, and the mean + linear baseline (PyTorch modules).

    features ─▶ standardise ─▶ project, each feature block by itself ──▶ LSTM ─▶ pool ─▶ linear ─▶ softmax
     (T, D)                            (T, P)          │                 (T, H)    ▲
                                                       └────── mean (shortcut) ────┘

The LSTM, step by step, with [h, x] the concatenation, s the logistic function, * element-wise:

    f_t = s(W_f [h_{t-1}, x_t] + b_f)        forget gate: what of the cell state stays
    i_t = s(W_i [h_{t-1}, x_t] + b_i)        input gate: what of the candidate state comes in
    g_t = tanh(W_c [h_{t-1}, x_t] + b_c)     candidate state
    c_t = f_t * c_{t-1} + i_t * g_t          cell state
    o_t = s(W_o [h_{t-1}, x_t] + b_o)        output gate: what of the cell state shows
    h_t = o_t * tanh(c_t)                    hidden state

A test holds `nn.LSTM`, as used here, to these equations. The plain model of the textbooks, whose last hidden
state goes through a linear layer, is `ClassifierConfig`'s defaults; what `vidpipe train` makes by default is
`training.TrainingConfig`'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence, pad_sequence

from vidpipe.learning.objectives import Outputs
from vidpipe.learning.sequence_packing import Packing
from vidpipe.records.videos import Floats, consecutive_slices

Kind = Literal["lstm", "mean_linear"]
Head = Literal["last", "mean", "max", "attention"]
"""How a video's hidden states become one: the last one, their mean, their maximum, or a mean with weights
that are learnt (softmax over time of a linear layer)."""

INPUT_SCALE = 0.2
"""Standardised features times this enter an LSTM without projection. At full scale a thousand of them
saturate its gates: on clips that differ only in the order of events, test accuracy falls from 1.00 to
0.96."""


@dataclass(frozen=True, slots=True)
class ClassifierConfig:
    """Architecture of the network; saved beside the weights, checked on loading."""

    kind: Kind
    input_size: int
    """D."""
    num_classes: int
    """K."""
    hidden_size: int = 256
    num_layers: int = 1
    dropout: float = 0.3
    """Before the last layer, and between layers."""
    input_dropout: float = 0.3
    """Of the standardised features, the same for all frames of a video."""
    kind_dropout: float = 0.0
    """How often a video is shown without one kind of features; the first kind always stays."""
    input_scale: float = INPUT_SCALE
    head: Head = "last"
    bidirectional: bool = False
    blocks: tuple[int, ...] = ()
    """Sizes of the kinds of features, which sum to D."""
    projection: int = 0
    """Each block is projected to so many numbers (linear, layer norm, GELU); 0: none is."""
    shortcut: bool = False
    """Whether the mean of the projected frames reaches the last layer, too: what needs no order."""
    outputs: Outputs = "softmax"
    """`sigmoid` where a video may have several labels."""

    def to_json(self) -> str:
        """The config as JSON, as stored in the model version."""
        facts = asdict(self)
        if self.outputs == "softmax":  # as in versions from before there was another kind
            del facts["outputs"]
        return json.dumps(facts, indent=2)

    @classmethod
    def from_json(cls, text: str) -> ClassifierConfig:
        """Read a config from `to_json`'s JSON."""
        raw = json.loads(text)
        return cls(**{**raw, "blocks": tuple(raw.get("blocks", ()))})


class Projection(nn.Module):
    """Projection of frames (..., D) to (..., P): linear, layer norm and GELU for each feature block.

    By itself, so that a block of a thousand numbers does not drown another of a hundred.
    """

    def __init__(self, blocks: Sequence[int], size: int) -> None:
        super().__init__()
        self._slices = consecutive_slices(blocks)
        self.linears = nn.ModuleList(nn.Linear(block, size) for block in blocks)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in blocks)

    def blocks(self) -> Iterator[tuple[slice, nn.Linear, nn.LayerNorm]]:
        """For each feature block its columns and its layers."""
        for columns, linear, norm in zip(self._slices, self.linears, self.norms, strict=True):
            assert isinstance(linear, nn.Linear) and isinstance(norm, nn.LayerNorm)
            yield columns, linear, norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Project frames (..., D) to (..., P)."""
        found = [functional.gelu(norm(linear(x[..., columns]))) for columns, linear, norm in self.blocks()]
        return torch.cat(found, dim=-1)


class LSTMVideoClassifier(nn.Module):
    """LSTM over per-frame features, pooled over time, with a linear head: (N, T, D) to logits (N, K).

    Features are first standardised with the training set's mean and deviation, which travel with
    the weights as buffers.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(config.input_size))
        self.register_buffer("deviation", torch.ones(config.input_size))
        blocks = config.blocks or (config.input_size,)
        self.projection = Projection(blocks, config.projection) if config.projection else None
        frame_size = config.projection * len(blocks) if config.projection else config.input_size
        self.lstm = nn.LSTM(
            frame_size, config.hidden_size, config.num_layers, batch_first=True,
            bidirectional=config.bidirectional, dropout=config.dropout if config.num_layers > 1 else 0.0,
        )  # fmt: skip
        state_size = config.hidden_size * (2 if config.bidirectional else 1)
        self.attention = nn.Linear(state_size, 1) if config.head == "attention" else None
        self.rng: torch.Generator | None = None
        """What dropout draws from; None: PyTorch's own, which all threads share."""
        self.linear = nn.Linear(state_size + (frame_size if config.shortcut else 0), config.num_classes)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Logits (N, K) of padded sequences x (N, T, D) with their valid lengths (N,)."""
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return self.logits(packed, lengths)

    def logits(self, packed: PackedSequence, lengths: torch.Tensor) -> torch.Tensor:
        """Logits (N, K) of packed sequences, without padding: see `pack`."""
        packed = _with_data(packed, self._frames(packed))
        states, (hidden, _) = self.lstm(packed)  # zero initial states; hidden is at each last valid step
        if self.config.head == "last":
            pooled = torch.cat([hidden[-2], hidden[-1]], 1) if self.config.bidirectional else hidden[-1]
        else:
            padded, _ = pad_packed_sequence(states, batch_first=True)  # (N, T, H)
            pooled = self._pooled(padded, _valid(lengths, padded.shape[1]))
        if self.config.shortcut:
            frames, _ = pad_packed_sequence(packed, batch_first=True)
            pooled = torch.cat([pooled, frames.sum(1) / lengths[:, None]], 1)
        if self.training:
            pooled = pooled * self._mask(pooled.shape, self.config.dropout)
        logits: torch.Tensor = self.linear(pooled)
        return logits

    def _frames(self, packed: PackedSequence) -> torch.Tensor:
        """Standardise and project frames (rows, D): the LSTM's input."""
        x = (packed.data - self.mean) / self.deviation
        if self.training:
            x = x * self._kept(packed.batch_sizes)
        if self.projection is None:
            return x * self.config.input_scale
        projected: torch.Tensor = self.projection(x)
        return projected

    def _kept(self, alive: torch.Tensor) -> torch.Tensor:
        """Variational dropout of features and whole feature blocks, (rows, D): one mask for a video's frames.

        Source: Gal and Ghahramani, A Theoretically Grounded Application of Dropout in Recurrent Neural
        Networks (2016). It also takes a tenth of the random numbers, else a fifth of the training's time.
        """
        videos = int(alive[0])
        masks = self._mask((videos, self.config.input_size), self.config.input_dropout)
        for columns in consecutive_slices(self.config.blocks)[1:]:
            masks[:, columns] *= torch.rand(videos, 1, generator=self.rng) >= self.config.kind_dropout
        places = torch.cat([torch.arange(int(n)) for n in alive])
        return masks[places]

    def _mask(self, shape: Sequence[int], dropped: float) -> torch.Tensor:
        """Inverted dropout mask: 0, or 1 / (1 - share)."""
        kept = 1 - dropped
        return torch.empty(*shape).bernoulli_(kept, generator=self.rng).div_(kept)

    def _pooled(self, states: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """Pool states (N, T, H) over time to (N, H); valid is (N, T)."""
        if self.config.head == "mean":
            return states.sum(1) / valid.sum(1)[:, None]  # padding is zero
        if self.attention is None:
            return states.masked_fill(~valid[..., None], -torch.inf).amax(1)
        weights: torch.Tensor = self.attention(states)[..., 0]  # (N, T)
        weights = weights.masked_fill(~valid, -torch.inf).softmax(1)
        return (states * weights[..., None]).sum(1)


def put_statistics(
    model: nn.Module, mean: npt.NDArray[np.float64], deviation: npt.NDArray[np.float64]
) -> None:
    """Store the mean and scale that features are standardised with, each (D,), in a network."""
    model.get_buffer("mean").copy_(torch.from_numpy(mean))
    model.get_buffer("deviation").copy_(torch.from_numpy(deviation + 1e-3))


def _with_data(packed: PackedSequence, data: torch.Tensor) -> PackedSequence:
    return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)


def _valid(lengths: torch.Tensor, T: int) -> torch.Tensor:
    return torch.arange(T, device=lengths.device)[None, :] < lengths[:, None]


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
        means = (x * _valid(lengths, x.shape[1])[..., None]).sum(1) / lengths[:, None]
        logits: torch.Tensor = self.linear((means - self.mean) / self.deviation)
        return logits


def build(config: ClassifierConfig) -> nn.Module:
    """Build an untrained network."""
    if config.kind == "mean_linear":
        return MeanLinearClassifier(config.input_size, config.num_classes)
    return LSTMVideoClassifier(config)


def pack(features: Sequence[Floats]) -> tuple[PackedSequence, torch.Tensor]:
    """Sequences (T_i, D) as PyTorch packs them, and their lengths (N,): one copy, no padding on the way."""
    lengths = np.array([len(f) for f in features])
    order = np.argsort(-lengths, kind="stable")
    packing = Packing.of(lengths[order].tolist())
    data = np.empty((int(lengths.sum()), features[0].shape[1]), np.float32)
    for i, rows in zip(order, packing.rows_of_videos(), strict=True):
        data[rows] = features[i]
    packed = PackedSequence(
        torch.from_numpy(data), torch.tensor(packing.alive), torch.from_numpy(order),
        torch.from_numpy(np.argsort(order)),
    )  # fmt: skip
    return packed, torch.from_numpy(lengths)


def pad(features: Sequence[Floats]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack sequences (T_i, D) to (N, max T, D), zeros behind, with their lengths (N,)."""
    # A copy: stored features are read-only views of a memory map.
    tensors = [torch.from_numpy(np.array(f, np.float32)) for f in features]
    lengths = torch.tensor([len(t) for t in tensors])
    return pad_sequence(tensors, batch_first=True), lengths
