"""Scores of many sequences: the classifier at work.

The LSTM runs in blocks of videos, one core a block. Within a block the frames of all videos stand together,
and matrix products have fixed shapes, filled up with zeros: a video's scores have the same bits whoever
else is asked for, on any number of cores.

Where the CPU computes in bfloat16, the product of frames and input weights does: 1.5 times as fast, and on
trained models scores differ by at most 0.001 from float32's.
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
    x, last = _step_by_step(features, starts), torch.zeros(0)
    scale = model.input_scale / model.deviation  # x is standardised within the first layer's product
    for layer in range(model.lstm.num_layers):
        w_in = getattr(model.lstm, f"weight_ih_l{layer}")
        bias = getattr(model.lstm, f"bias_ih_l{layer}") + getattr(model.lstm, f"bias_hh_l{layer}")
        if layer == 0:
            w_in, bias = w_in * scale, bias - w_in @ (model.mean * scale)
        ahead = torch.cat([_product(piece, w_in) for piece in torch.split(x, PRODUCT_ROWS)]).add_(bias)
        x, last = _layer(ahead, getattr(model.lstm, f"weight_hh_l{layer}"), alive, starts)
    logits: torch.Tensor = model.linear(last)  # (BLOCK_VIDEOS, K), a fixed shape as well
    return logits[: len(features)]


def _product(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """x times weights, in bfloat16 with sums in float32 where the CPU has it: nine tenths of all work."""
    if cores.have_bfloat16():
        return nn.functional.linear(x.bfloat16(), weights.bfloat16()).float()
    return nn.functional.linear(x, weights)


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
    ahead: torch.Tensor, w_hidden: torch.Tensor, alive: Sequence[int], starts: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """One layer by the equations of classifier.py: hidden states (rows, H), and each video's last (64, H).

    Args:
        ahead: What the inputs and biases give to the gates, (rows, 4 H): it needs no hidden state.
        w_hidden: Weights of the hidden state, (4 H, H).
        alive: How many videos go on, by step.
        starts: Where each step's rows begin.
    """
    H = w_hidden.shape[1]
    states = torch.zeros(len(ahead), H)
    hidden, cell = torch.zeros(BLOCK_VIDEOS, H), torch.zeros(BLOCK_VIDEOS, H)
    for n, start in zip(alive, starts, strict=False):
        gates = torch.mm(hidden, w_hidden.t())[:n] + ahead[start : start + n]
        i, f, g, o = gates.chunk(4, dim=1)
        cell[:n] = torch.sigmoid(f) * cell[:n] + torch.sigmoid(i) * torch.tanh(g)
        hidden[:n] = torch.sigmoid(o) * torch.tanh(cell[:n])
        states[start : start + n] = hidden[:n]
    return states, hidden
