"""Batch inference of the LSTM classifier on the CPU, reproducible bit by bit.

The LSTM runs on batches of videos, one core a batch. Within a batch the frames of all videos stand together
(see `packing.py`; backwards, each video's rows in reverse), and matrix products have fixed shapes, filled up
with zeros: a video's scores have the same bits whatever videos it is scored with, on any number of cores.

Where the CPU computes in bfloat16, the product of frames and first weights does: 1.5 times as fast, and on
trained models scores differ by at most 0.001 from float32's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from vidpipe import cores
from vidpipe.learning.blend import BlendedClassifier
from vidpipe.learning.classifier import LSTMVideoClassifier, Projection, pad
from vidpipe.learning.linear import OVER_TIME, LinearHead, over_time
from vidpipe.learning.objectives import Objective, Softmax, objective_named
from vidpipe.learning.sequence_packing import Packing
from vidpipe.records.videos import Floats

warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nor do we write: stored features

BATCH_VIDEOS = 64
"""Rows of every recurrent matrix product."""
BATCH_FRAMES = 8192
"""A batch holds no more frames than this, unless it is one video: bounds the memory."""
PRODUCT_ROWS = 256
"""Rows of every product of frames with weights."""


def predict(model: nn.Module, features: Sequence[Floats]) -> Floats:
    """Scores, float32 (N, K), of N sequences (T_i, D): softmax, or of each label by itself."""
    if not features:
        return np.zeros((0, 0), np.float32)
    found = _by_batch(lambda some: list(_scores(model, some)), model, features)
    return np.stack(found)


def attention(model: nn.Module, features: Sequence[Floats]) -> list[Floats]:
    """Attention weight of each frame, (T_i,) for each of N sequences.

    The weights of a video sum to 1. Another head has none: all frames weigh the same.
    """
    return _by_batch(lambda some: _weights(model, some), model, features) if features else []


def _by_batch(
    work: Callable[[Sequence[Floats]], list[Floats]], model: nn.Module, features: Sequence[Floats]
) -> list[Floats]:
    """Compute one result for each sequence, in their order, batch by batch, one core each."""
    model.eval()
    cores.keep_freed_memory()
    batches = list(_batches([len(f) for f in features]))
    results: list[Floats] = [np.zeros(0, np.float32)] * len(features)
    with cores.one_each(min(cores.count(), len(batches))) as pool:
        for batch, found in zip(
            batches, pool.map(lambda b: work([features[i] for i in b]), batches), strict=True
        ):
            for i, result in zip(batch, found, strict=True):
                results[i] = result
    return results


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Batches of sequences of similar length, as indices, the longest first."""
    batch: list[int] = []
    frames = 0
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) == BATCH_VIDEOS or frames + lengths[i] > BATCH_FRAMES):
            yield batch
            batch, frames = [], 0
        batch.append(i)
        frames += lengths[i]
    yield batch


@torch.inference_mode()
def _scores(model: nn.Module, features: Sequence[Floats]) -> Floats:
    """Scores of one batch, the longest sequence first."""
    if isinstance(model, BlendedClassifier):
        logits = _blended_logits(model, features)
    elif isinstance(model, LSTMVideoClassifier):
        logits = _lstm_logits(model, features)
    elif isinstance(model, LinearHead):
        logits = _linear_logits({"": model}, features)[""]
    else:
        logits = torch.cat([model(*pad([f])) for f in features])
    result: Floats = _objective(model).probabilities(logits).float().numpy()
    return result


def _objective(model: nn.Module) -> Objective:
    """Objective of a network: it says what its logits mean."""
    if isinstance(model, BlendedClassifier):
        model = model.lstm
    if isinstance(model, LSTMVideoClassifier):
        return objective_named(model.config.outputs)
    return objective_named(model.outputs) if isinstance(model, LinearHead) else Softmax()


def _blended_logits(model: BlendedClassifier, features: Sequence[Floats]) -> torch.Tensor:
    """Weighted sum of the parts' evidence, (n, K), in float64."""
    objective = _objective(model)

    def evidence(logits: torch.Tensor) -> torch.Tensor:
        return objective.floored(objective.evidence(logits.double()))

    total = torch.zeros(len(features), model.lstm.config.num_classes, dtype=torch.float64)
    if weight := model.weights["lstm"]:
        total += weight * evidence(_lstm_logits(model.lstm, features))
    for name, logits in _linear_logits(model.heads, features).items():
        total += model.weights[name] * evidence(logits)
    return model.calibrated(total)


def _linear_logits(heads: Mapping[str, LinearHead], features: Sequence[Floats]) -> dict[str, torch.Tensor]:
    """Logits (n, K) of each head; what they have in common of a video's statistics is computed once."""
    counts = {name: OVER_TIME[head.name] for name, head in heads.items() if head.name in OVER_TIME}
    most, D = max(counts.values(), default=0), features[0].shape[1]
    x = torch.zeros(BATCH_VIDEOS, most * D)
    if most:
        for row, frames in zip(x, features, strict=False):
            row.copy_(torch.from_numpy(over_time(frames, most)))
    return {
        name: head.of_statistics(x[:, : counts[name] * D])[: len(features)]
        if name in counts
        else torch.stack([head(frames) for frames in features])
        for name, head in heads.items()
    }


@torch.inference_mode()
def _weights(model: nn.Module, features: Sequence[Floats]) -> list[Floats]:
    """Attention weights of one batch, the longest sequence first."""
    if isinstance(model, BlendedClassifier):
        model = model.lstm
    if not isinstance(model, LSTMVideoClassifier) or model.attention is None:
        return [np.full(len(f), 1 / len(f), np.float32) for f in features]
    packing = _packing(features)
    frames = _frames(model, features)
    states, _ = _states(model, packing, frames[packing.order(len(frames))])
    return [_attention(model.attention, of_video).numpy() for of_video in _by_video(states, packing)]


def _packing(features: Sequence[Floats]) -> Packing:
    return Packing.of([len(f) for f in features])


def _lstm_logits(model: LSTMVideoClassifier, features: Sequence[Floats]) -> torch.Tensor:
    packing = _packing(features)
    frames = _frames(model, features)
    states, last = _states(model, packing, frames[packing.order(len(frames))])
    pooled = [
        last[place] if model.config.head == "last" else _pooled(model, of_video)
        for place, of_video in enumerate(_by_video(states, packing))
    ]
    if model.config.shortcut:
        means = [of_video.mean(0) for of_video in _cut(frames, packing)]
        pooled = [torch.cat(both) for both in zip(pooled, means, strict=True)]
    # One by one: in a narrow matrix product a row's bits depend on its position.
    return torch.stack([model.linear(of_video) for of_video in pooled])


def _by_video(states: torch.Tensor, packing: Packing) -> Sequence[torch.Tensor]:
    """The states of each video, (T, H), in the order of its frames."""
    found = _cut(states[np.concatenate(packing.rows_of_videos())], packing)
    return [of_video.clone() for of_video in found]  # aligned: bits depend on memory alignment, too


def _cut(rows: torch.Tensor, packing: Packing) -> Sequence[torch.Tensor]:
    """Split consecutive rows by video."""
    return torch.split(rows[: packing.starts[-1]], list(packing.lengths))


def _pooled(model: LSTMVideoClassifier, states: torch.Tensor) -> torch.Tensor:
    """Pool one video's states (T, H) over time to (H,)."""
    if model.config.head == "mean":
        return states.mean(0)
    if model.attention is None:
        return states.amax(0)
    return _attention(model.attention, states) @ states


def _attention(layer: nn.Linear, states: torch.Tensor) -> torch.Tensor:
    weights: torch.Tensor = layer(states)[:, 0].softmax(0)
    return weights


# -- input of the LSTM --------------------------------------------------------------------------


def _frames(model: LSTMVideoClassifier, features: Sequence[Floats]) -> torch.Tensor:
    """Input of the first LSTM layer for all frames, one video after the other, (rows, P).

    Without a projection (rows, D).
    """
    if model.projection:
        return _projected(model.projection, model, features)
    x = _stacked(features, slice(None), torch.float32)
    return (x - model.mean) / model.deviation * model.config.input_scale


def _stacked(features: Sequence[Floats], columns: slice, dtype: torch.dtype) -> torch.Tensor:
    """Copy some columns of all frames into one matrix, converted and zero-padded to whole tiles."""
    count = sum(len(f) for f in features)
    rows = -(-count // PRODUCT_ROWS) * PRODUCT_ROWS
    x, begin = torch.empty(rows, len(features[0][0, columns]), dtype=dtype), 0
    for frames in features:
        x[begin : (begin := begin + len(frames))] = torch.from_numpy(frames[:, columns])
    x[count:] = 0
    return x


def _projected(
    projection: Projection, model: LSTMVideoClassifier, features: Sequence[Floats]
) -> torch.Tensor:
    """Standardise and project frames, (rows, P); the standardising is folded into the weights."""
    found = []
    for columns, linear, norm in projection.blocks():
        weights, bias = _standardising(
            linear.weight, linear.bias, model.mean[columns], 1 / model.deviation[columns]
        )
        product = _product(_stacked(features, columns, _product_dtype()), weights, bias)
        found.append(nn.functional.gelu(norm(product)))
    return torch.cat(found, 1)


def _standardising(
    weights: torch.Tensor, bias: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fold standardising into a layer: W' x + b' = W ((x - mean) * scale) + b."""
    return weights * scale, bias - weights @ (mean * scale)


def _product(x: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Matrix product of x and weights, plus bias, in tiles of one shape; 90 % of the run time.

    In bfloat16 with sums in float32 where the CPU has it.
    """
    rounded, seen = weights.to(_product_dtype()), x.to(_product_dtype())
    product = torch.empty(len(x), len(weights))
    for place, piece in zip(torch.split(product, PRODUCT_ROWS), torch.split(seen, PRODUCT_ROWS), strict=True):
        place.copy_(nn.functional.linear(piece, rounded)).add_(bias)
    return product


def _product_dtype() -> torch.dtype:
    return torch.bfloat16 if cores.have_bfloat16() else torch.float32


# -- the LSTM ------------------------------------------------------------------------------------


def _states(
    model: LSTMVideoClassifier, packing: Packing, x: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states of the last layer (rows, H), and each video's last (64, H); H counts both directions."""
    mirror, last = packing.mirrored(len(x)), torch.zeros(0)
    for layer in range(model.lstm.num_layers):
        x = x.to(_product_dtype())
        states, last = _direction(model, f"l{layer}", x, packing)
        if model.config.bidirectional:
            backward, first = _direction(model, f"l{layer}_reverse", x[mirror], packing)
            states, last = torch.cat([states, backward[mirror]], 1), torch.cat([last, first], 1)
        x = states
    return x, last


def _direction(
    model: LSTMVideoClassifier, name: str, x: torch.Tensor, packing: Packing
) -> tuple[torch.Tensor, torch.Tensor]:
    """States of one LSTM layer in one direction, whose weights end in `name`."""
    w_in = getattr(model.lstm, f"weight_ih_{name}")
    bias = getattr(model.lstm, f"bias_ih_{name}") + getattr(model.lstm, f"bias_hh_{name}")
    return _layer(_product(x, w_in, bias), getattr(model.lstm, f"weight_hh_{name}"), packing)


def _layer(
    ahead: torch.Tensor, w_hidden: torch.Tensor, packing: Packing
) -> tuple[torch.Tensor, torch.Tensor]:
    """One LSTM layer by classifier.py's equations: hidden states (rows, H), and each video's last (64, H).

    Args:
        ahead: What the inputs and biases give to the gates, (rows, 4 H): it needs no hidden state.
        w_hidden: Weights of the hidden state, (4 H, H).
        packing: Where each step's rows begin, and how many videos go on.
    """
    H = w_hidden.shape[1]
    states = torch.zeros(len(ahead), H)
    hidden, cell = torch.zeros(BATCH_VIDEOS, H), torch.zeros(BATCH_VIDEOS, H)
    for n, start in zip(packing.alive, packing.starts, strict=False):
        gates = torch.mm(hidden, w_hidden.t())
        gates[:n] += ahead[start : start + n]
        i, f, g, o = gates.chunk(4, dim=1)
        cell[:n] = (torch.sigmoid(f) * cell + torch.sigmoid(i) * _tanh(g))[:n]
        hidden[:n] = (torch.sigmoid(o) * _tanh(cell))[:n]
        states[start : start + n] = hidden[:n]
    return states, hidden


def _tanh(x: torch.Tensor) -> torch.Tensor:
    """tanh(x) = 2 / (1 + exp(-2 x)) - 1, off by 1e-7 at most: a sixth of the time of `torch.tanh`.

    Of 64 rows, however many go on: the last few numbers of another shape would be computed one by one, which
    gives them other bits.
    """
    return torch.sigmoid(2 * x).mul_(2).sub_(1)
