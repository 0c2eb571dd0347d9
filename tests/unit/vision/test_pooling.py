"""Feature maps to features: held to what PyTorch computes of the same maps."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional

from vidpipe.errors import ConfigurationError
from vidpipe.records.models import FeatureLayout
from vidpipe.vision.backbone_table import MapSizes
from vidpipe.vision.pooling import GRID, Pooling

SIZES = MapSizes(last=6, middle=4, side=14)
CELLS = GRID**2 * SIZES.middle
close = partial(np.allclose, rtol=2**-11, atol=1e-6)
"""To the rounding of float16: eleven bits."""


@pytest.fixture
def maps() -> tuple[torch.Tensor, torch.Tensor]:
    """Of three frames, in the memory layout of a CNN's output."""
    torch.manual_seed(0)
    last, middle = torch.randn(3, 6, 7, 7), torch.randn(3, 4, 14, 14)
    return last.to(memory_format=torch.channels_last), middle.to(memory_format=torch.channels_last)


def expected_cells(middle: torch.Tensor) -> np.ndarray:
    return functional.adaptive_avg_pool2d(middle, GRID).permute(0, 2, 3, 1).flatten(1).numpy()


def features(pooling: Pooling, maps: tuple[torch.Tensor, torch.Tensor]) -> np.ndarray:
    rows = pooling.activations(maps[0], maps[1] if pooling.needs_middle else None)
    assert rows.shape == (3, pooling.activation_size)
    befores = [None, rows[0], rows[1]]
    return np.stack([pooling.features(row, before) for row, before in zip(rows, befores, strict=True)])


def test_mirrored_maps_give_the_features_that_the_mirrored_order_says(
    maps: tuple[torch.Tensor, torch.Tensor],
) -> None:
    last, middle = maps
    for name in ("average+grid+motion", "grid", "average"):
        pooling = Pooling(name, SIZES)
        order = pooling.mirrored()
        found = features(pooling, (last.flip(3), middle.flip(3)))
        assert close(found, features(pooling, maps)[:, order])
        assert (order[order] == np.arange(pooling.feature_size)).all()


def test_cells_of_a_grid_follow_each_other_and_movement_says_none(
    maps: tuple[torch.Tensor, torch.Tensor],
) -> None:
    pooling = Pooling("average+grid+motion", SIZES)
    layout = FeatureLayout(pooling.sizes, cells=pooling.cells())
    ((columns, cells),) = layout.grids()
    assert (columns, cells) == (slice(6, 6 + CELLS), GRID**2)

    even = maps[1].mean((2, 3), keepdim=True).expand(maps[1].shape)
    found = features(pooling, (maps[0], even))[:, columns].reshape(3, cells, SIZES.middle)
    assert close(found, found[:, :1]), "a picture that is the same everywhere has equal cells"


def test_average_grid_and_motion_are_what_they_say(maps: tuple[torch.Tensor, torch.Tensor]) -> None:
    last, middle = maps
    found = features(Pooling("average+grid+motion", SIZES), maps)

    assert found.shape == (3, 6 + 2 * CELLS) and found.dtype == np.float32
    assert close(found[:, :6], last.mean((2, 3)))
    assert close(found[:, 6 : 6 + CELLS], expected_cells(middle))
    assert close(found[1:, 6 + CELLS :], expected_cells((middle[1:] - middle[:-1]).abs()))
    assert not found[0, 6 + CELLS :].any(), "the first frame has no frame before it"


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("average", [*range(6)]),
        ("grid", [*range(6, 6 + CELLS)]),
        ("motion", [*range(6 + CELLS, 6 + 2 * CELLS)]),
        ("average+motion", [*range(6), *range(6 + CELLS, 6 + 2 * CELLS)]),
    ],
)
def test_each_pooling_is_a_part_of_the_whole_with_the_same_bits(
    name: str, columns: list[int], maps: tuple[torch.Tensor, torch.Tensor]
) -> None:
    pooling = Pooling(name, SIZES)
    assert pooling.feature_size == len(columns)
    whole = features(Pooling("average+grid+motion", SIZES), maps)
    assert np.array_equal(features(pooling, maps), whole[:, columns])


@pytest.mark.parametrize("name", ["", "maximum", "grid+average", "average+average", "average+"])
def test_an_unknown_pooling_is_a_configuration_error(name: str) -> None:
    with pytest.raises(ConfigurationError, match="known are average, class, vector, grid, motion"):
        Pooling(name, SIZES)


def test_features_are_numbers_of_float16_so_that_storing_them_changes_no_bit(
    maps: tuple[torch.Tensor, torch.Tensor],
) -> None:
    for name in ("average", "average+grid+motion"):
        found = features(Pooling(name, SIZES), maps)
        assert np.array_equal(found, found.astype(np.float16).astype(np.float32))
