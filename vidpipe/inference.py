"""Scores of many sequences: the classifier at work.

The LSTM runs in blocks of videos, one core a block. Within a block the frames of all videos stand together,
and matrix products have fixed shapes, filled up with zeros: a video's scores have the same bits whoever
else is asked for, on any number of cores. Four times as fast as one video after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from vidpipe import cores
from vidpipe.classifier import LSTMVideoClassifier, pad
from vidpipe.records import Floats

BLOCK_VIDEOS = 64
"""Rows of every recurrent matrix product."""
BLOCK_FRAMES = 8192
"""A block holds no more frames than this, unless it is one video: bounds the memory."""
PRODUCT_ROWS = 512
"""Rows of every product of frames with the input weights."""


def predict(model: nn.Module, features: Sequence[Floats]) -> Floats:
    """Softmax scores, float32 (N, K), of N sequences (T_i, D)."""
    if not features:
        return np.zeros((0, 0), np.float32)
    model.eval()
    blocks = list(_blocks([len(f) for f in features]))
    with cores.one_each(min(cores.count(), len(blocks))) as pool:
        found = list(pool.map(lambda block: _scores(model, [features[i] for i in block]), blocks))
    scores = np.empty((len(features), found[0].shape[1]), np.float32)
    for block, rows in zip(blocks, found, strict=True):
        scores[block] = rows
    return scores


def _blocks(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of sequences of similar length, the longest first."""
    block: list[int] = []
    frames = 0
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if block and (len(block) == BLOCK_VIDEOS or frames + lengths[i] > BLOCK_FRAMES):
            yield block
            block, frames = [], 0
        block.append(i)
        frames += lengths[i]
    yield block


@torch.inference_mode()
def _scores(model: nn.Module, features: Sequence[Floats]) -> Floats:
    """Scores of one block, the longest sequence first."""
    if isinstance(model, LSTMVideoClassifier):
        logits = _lstm_logits(model, features)
    else:
        logits = torch.cat([model(*pad([f])) for f in features])
    result: Floats = torch.softmax(logits, dim=1).numpy()
    return result


def _lstm_logits(model: LSTMVideoClassifier, features: Sequence[Floats]) -> torch.Tensor:
    alive, starts = _alive(features)
    x = (_step_by_step(features, starts) - model.mean) / model.deviation * model.input_scale
    last = torch.zeros(0)
    for layer in range(model.lstm.num_layers):
        x, last = _layer(model.lstm, layer, x, alive, starts)
    logits: torch.Tensor = model.linear(last)  # (BLOCK_VIDEOS, K), a fixed shape as well
    return logits[: len(features)]


def _alive(features: Sequence[Floats]) -> tuple[list[int], list[int]]:
    """For each step t, how many sequences go on, and the row where the step's frames begin."""
    lengths = np.array([len(f) for f in features])
    alive = [int((lengths > t).sum()) for t in range(lengths[0])]
    return alive, [0, *np.cumsum(alive).tolist()]


def _step_by_step(features: Sequence[Floats], starts: Sequence[int]) -> torch.Tensor:
    """All frames (rows, D): those of step 0, then those of step 1; zeros up to whole products."""
    rows = -(-starts[-1] // PRODUCT_ROWS) * PRODUCT_ROWS
    x = np.zeros((rows, features[0].shape[1]), np.float32)
    begins = np.array(starts)
    for place, frames in enumerate(features):
        x[begins[: len(frames)] + place] = frames
    return torch.from_numpy(x)


def _layer(
    lstm: nn.LSTM, layer: int, x: torch.Tensor, alive: Sequence[int], starts: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """One layer by the equations of classifier.py: hidden states (rows, H), and each video's last (64, H)."""
    w_in, w_hidden, b_in, b_hidden = (
        getattr(lstm, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    bias = b_in + b_hidden
    ahead = torch.cat(
        [
            nn.functional.linear(x[row : row + PRODUCT_ROWS], w_in, bias)
            for row in range(0, len(x), PRODUCT_ROWS)
        ]
    )
    states = torch.zeros(len(x), lstm.hidden_size)
    hidden = torch.zeros(BLOCK_VIDEOS, lstm.hidden_size)
    cell = torch.zeros_like(hidden)
    for n, start in zip(alive, starts, strict=False):
        gates = torch.mm(hidden, w_hidden.t())[:n] + ahead[start : start + n]
        i, f, g, o = gates.chunk(4, dim=1)
        cell[:n] = torch.sigmoid(f) * cell[:n] + torch.sigmoid(i) * torch.tanh(g)
        hidden[:n] = torch.sigmoid(o) * torch.tanh(cell[:n])
        states[start : start + n] = hidden[:n]
    return states, hidden
