"""Pooling of CNN feature maps to a frame's features: average, spatial grid, motion.

    average   means over the CNN's last feature map                                         what is there
    class     a transformer's class token, in its place
    vector    what a network gives for the whole frame, in its place
    grid      means over a 3 x 3 grid of a middle map                                       where it is
    motion    means over the same grid of |middle map - that of the sampled frame before|   what moves, where

A pooling is some of these in this order, such as `average+grid+motion`. All come from one pass of the CNN.
A video's first frame has no motion: zeros. Motion needs the frame before, which other cores may still be
computing; so a CNN batch gives *activations*, which hold whole maps; these become features in their order.

Features are rounded to float16, eleven bits, three more than the CNN computes with where it is fastest: what
is stored takes half the room, and what is scored without a store has the same bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vidpipe.errors import ConfigurationError
from vidpipe.records.videos import Floats
from vidpipe.vision.backbone_table import MapSizes

if TYPE_CHECKING:  # takes a second to load, which naming a feature spec does not have
    import torch

WHOLE = ("average", "class", "vector")
"""Kinds that describe the whole frame: its first numbers, as they come."""
KINDS = (*WHOLE, "grid", "motion")
GRID = 3


class Pooling:
    """One pooling of one CNN.

    Attributes:
        sizes: How many features of each kind.
        feature_size: D.
        activation_size: R, numbers of one frame before pooling.
        needs_middle: Whether it looks at the middle map.
    """

    def __init__(self, name: str, maps: MapSizes) -> None:
        """Read a name such as `average+grid`.

        Raises:
            ConfigurationError: An unknown kind, one named twice, or another order.
        """
        self._kinds = name.split("+")
        if self._kinds != [kind for kind in KINDS if kind in self._kinds]:
            raise ConfigurationError(
                f"unknown pooling {name!r}; known are {', '.join(KINDS)}, joined by + in this order.",
                next_step="use the vidpipe version that made this feature set.",
            )
        self._maps = maps
        cells = GRID**2 * maps.middle
        self.sizes = tuple(maps.last if kind in WHOLE else cells for kind in self._kinds)
        self.feature_size = sum(self.sizes)
        self.needs_middle = not set(self._kinds) <= set(WHOLE)
        self.activation_size = maps.last + (maps.middle * maps.side**2 if self.needs_middle else 0)
        self._cells = _cells(maps.side) if self.needs_middle else np.zeros((0, 0), np.float32)

    def activations(self, last: torch.Tensor, middle: torch.Tensor | None) -> Floats:
        """Activations of one batch, float32 (B, R).

        Args:
            last: The last map, (B, C, h, w).
            middle: The middle map, (B, C', side, side), where it is needed.
        """
        import torch

        average = last.float().mean((2, 3))
        if middle is None:
            pooled: Floats = average.cpu().numpy()
            return pooled
        whole = middle.float().permute(0, 2, 3, 1).flatten(1)  # a frame's places, each with its channels
        joined: Floats = torch.cat([average, whole], 1).cpu().numpy()
        return joined

    def features(self, activations: Floats, before: Floats | None) -> Floats:
        """Features of one frame, float32 (D,), rounded to float16.

        Args:
            activations: Of the frame, (R,).
            before: Those of the sampled frame before it in the same video, if there is one.
        """
        if not self.needs_middle:
            return _rounded(activations)
        found = dict.fromkeys(WHOLE, activations[: self._maps.last])
        found["grid"] = self._means(self._middle(activations))
        if before is None:
            found["motion"] = np.zeros(GRID**2 * self._maps.middle, np.float32)
        elif "motion" in self._kinds:
            found["motion"] = self._means(np.abs(self._middle(activations) - self._middle(before)))
        return _rounded(np.concatenate([found[kind] for kind in self._kinds]))

    def mirrored(self) -> npt.NDArray[np.int64]:
        """Order that turns a frame's features into those of the mirrored frame, (D,).

        The cells of a grid change sides. A CNN answers a mirrored picture with its mirrored map, nearly: it
        was trained on mirrored pictures too.
        """
        grid = np.arange(GRID**2 * self._maps.middle).reshape(GRID, GRID, -1)[:, ::-1].reshape(-1)
        starts = np.cumsum([0, *self.sizes])
        found = [
            start + (np.arange(size) if kind in WHOLE else grid)
            for kind, start, size in zip(self._kinds, starts, self.sizes, strict=False)
        ]
        return np.concatenate(found)

    def cells(self) -> tuple[int, ...]:
        """Number of cells that each kind has what is seen in, one after the other; 1: it says no place.

        Movement has its cells too, and stays as it is: where something moves tells labels apart.
        """
        return tuple(GRID**2 if kind == "grid" else 1 for kind in self._kinds)

    def _middle(self, activations: Floats) -> Floats:
        """Middle feature map of a frame's activations, (side * side, channels)."""
        return activations[self._maps.last :].reshape(-1, self._maps.middle)

    def _means(self, places: Floats) -> Floats:
        """Means over the cells, (9 * channels,): all channels of the upper left cell, then of the next."""
        means: Floats = (self._cells @ places).reshape(-1)
        return means


def _rounded(features: Floats) -> Floats:
    return features.astype(np.float16).astype(np.float32)


def _cells(side: int) -> Floats:
    """Weights of adaptive average pooling, (9, side * side): the places of each grid cell.

    Cell i of a row reaches from floor(i * side / 3) to ceil((i + 1) * side / 3): the rule of
    https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html.
    """
    one = np.zeros((GRID, side), np.float32)
    for i in range(GRID):
        begin, end = i * side // GRID, -(-(i + 1) * side // GRID)
        one[i, begin:end] = 1 / (end - begin)
    weights: Floats = np.kron(one, one).astype(np.float32)
    return weights
