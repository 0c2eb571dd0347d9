"""Input and output of a network from a file: normalised pixels in, activations of each place out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vidpipe.errors import ConfigurationError
from vidpipe.records.features import NetworkSpec
from vidpipe.records.videos import Floats, Pixels

GREATEST = float(np.finfo(np.float16).max)
"""Features are stored as float16."""


def stored_range(output: Floats, file: Path) -> Floats:
    """Output within what float16 holds.

    Raises:
        ConfigurationError: Some of it is not finite.
    """
    if not np.isfinite(output).all():
        raise ConfigurationError(
            f"the backbone {file} gives numbers that are not finite for a frame.",
            next_step="check its mean and std in the TOML file beside it, or export it in float32.",
        )
    return np.clip(output, -GREATEST, GREATEST)


def as_input(frame: Pixels, network: NetworkSpec) -> Floats:
    """A frame (H, W, 3), or a clip (T, H, W, 3), normalised and laid out as a batch of one, float32."""
    mean, std = np.array(network.mean, np.float32), np.array(network.std, np.float32)
    pixels = frame.astype(np.float32)
    if max(*network.mean, *network.std) <= 1:
        pixels /= 255
    pixels = (pixels - mean) / std
    axes = "THWC"[-pixels.ndim :]
    laid: Floats = np.ascontiguousarray(pixels.transpose([axes.index(a) for a in network.layout[1:]]))
    return laid[None]


def activations(output: Floats, network: NetworkSpec, pooling: str) -> Floats:
    """Activations of one frame or clip, float32 (R,): numbers of the whole, then those of each place.

    Args:
        output: A map (1, C, side, side) or (1, side, side, C), of clips with an axis of times; tokens
            (1, N, C); or a vector (1, C).
        network: Its sizes.
        pooling: Of the spec: whether there is a class token, and whether places are kept.
    """
    found: Floats = output[0]
    if found.ndim == 1:
        return found
    by_place = _places(found, network) if found.ndim > 2 else found
    patches = by_place[len(by_place) - network.side**2 :] if network.side else by_place
    whole: Floats = by_place[0] if pooling.startswith("class") else patches.mean(axis=0)
    joined: Floats = np.concatenate([whole, patches.reshape(-1)]) if network.side else whole
    return joined


def _places(found: Floats, network: NetworkSpec) -> Floats:
    """A map's places in reading order, each with its channels, (side * side, C); of times, the mean."""
    channels_last = found.shape[-1] == network.channels and found.shape[0] != network.channels
    by_channel = np.moveaxis(found, -1, 0) if channels_last else found  # (C, [T,] h, w)
    if by_channel.ndim == 4:
        by_channel = by_channel.mean(axis=1)
    flat: Floats = by_channel.reshape(len(by_channel), -1).T
    return flat
