"""Optical flow features: DIS flow between frames at 12/s, as histograms of directions on a 3 x 3 grid (HOOF).

    frames at 12/s   0   1   2   3   4   5   6        grey, 112 x 84, the whole picture
    flows              1   2   3   4   5   6          per second of true time
    sampled frames   0           3           6        each takes the flows since the one before

A frame's flow features are eleven numbers for each cell of the grid, in reading order: speed in each of
eight directions, the share of pixels that stand still, the mean and the strongest speed. All but the share
are logarithms of 1 + pixels a second; a direction's is the mean over the whole cell, so that before the
logarithms the eight and what stands still add up to the mean. A sampled frame has the mean over its flows; a
video's first frame has none: zeros.

Source: dense inverse search, Kroeger et al. 2016, https://arxiv.org/abs/1603.03590, as in OpenCV
(https://docs.opencv.org/5.x/da/d06/classcv_1_1optflow_1_1DISOpticalFlow.html).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from vidpipe.errors import ConfigurationError
from vidpipe.records.features import FlowSpec
from vidpipe.records.videos import Floats

GRID = 3
DIRECTIONS = 8
STILL = DIRECTIONS
"""Number of the histogram's last bin."""
STILL_PX_S = 3.0
"""Slower than this, of a picture 112 pixels wide, a pixel stands still: less is the noise of a codec."""
METHOD = "dis-ultrafast"
"""OpenCV's fastest preset: 0.07 ms a flow. By itself, mean and deviation in a linear head, group 5-fold x 3:
ut_interaction .728, car_crash .598. Down to half of the picture's size instead of a quarter, 0.3 ms: .775,
.658; with five steps of variational refinement, 0.7 ms: .808, .634. Joined to the CNN, none is ahead: see
docs/promotion.md.
"""
STEP_PX = 2
"""One vector in two each way tells as much: the flow is computed at a quarter of the size."""
POOLING = "8-directions+still+mean+peak"
FLOW_SIZE = GRID**2 * (DIRECTIONS + 1 + 1 + 1)
WIDTH_PX, HEIGHT_PX = 112, 84
LEAST_FPS = 12.0

Grey = npt.NDArray[np.uint8]


def default_flow(sample_fps: float) -> FlowSpec:
    """Default flow spec: 12 frames/s, rounded up to whole numbers of flows between two sampled frames."""
    fps = sample_fps * max(1, int(np.ceil(LEAST_FPS / sample_fps - 1e-9)))
    return FlowSpec(fps, WIDTH_PX, HEIGHT_PX, METHOD, POOLING)


@cache
def numerics() -> str:
    """OpenCV's version and CPU instruction sets, on which the bits of a flow depend."""
    cv2 = _opencv()
    wide = [name for name in ("AVX2", "AVX512-SKX", "NEON", "SVE", "RVV") if name in _instructions(cv2)]
    return f"opencv-{cv2.__version__}-{'+'.join(wide) or 'plain'}"


def _instructions(cv2: Any) -> set[str]:
    """CPU instruction sets of this OpenCV build; `?` marks one that this CPU lacks."""
    words = cv2.getCPUFeaturesLine().split()
    return {word.strip("*") for word in words if not word.endswith("?")}


@cache
def _opencv() -> Any:
    """OpenCV, limited to one thread and without OpenCL, since videos are computed in parallel."""
    import cv2

    cv2.setNumThreads(1)
    cv2.ocl.setUseOpenCL(False)
    return cv2


class FlowMeter:
    """Optical flow of one video, frame after frame."""

    def __init__(self, spec: FlowSpec) -> None:
        """Start before the first frame.

        Raises:
            ConfigurationError: This vidpipe does not know the spec's flow.
        """
        if (spec.method, spec.pooling) != (METHOD, POOLING):
            raise ConfigurationError(
                f"unknown flow {spec.method!r}, {spec.pooling!r}; known: {METHOD!r}, {POOLING!r}.",
                next_step="use the vidpipe version that made this feature set.",
            )
        cv2 = _opencv()
        self._dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._pooling = _pooling(-(-spec.height_px // STEP_PX), -(-spec.width_px // STEP_PX))
        self._before: Grey | None = None
        self._before_s = 0.0

    def add(self, time_s: float, grey: Grey) -> Floats | None:
        """Pooled flow, float32 (99,), from the previous frame to this one; None for the first.

        Args:
            time_s: When the frame shows.
            grey: uint8 (height, width); kept until the next one comes.
        """
        before, passed_s = self._before, time_s - self._before_s
        self._before, self._before_s = grey, time_s
        if before is None or not passed_s > 0:
            return None
        moved: Floats = self._dis.calc(before, grey, None)  # (height, width, 2), pixels
        return self._pooling(moved[::STEP_PX, ::STEP_PX] / np.float32(passed_s))


class FlowPooling:
    """Pooling of a dense flow field into numbers of nine cells."""

    def __init__(self, height: int, width: int) -> None:
        self._rows = np.array([i * height // GRID for i in range(GRID)])
        self._columns = np.array([i * width // GRID for i in range(GRID)])
        self._area = np.outer(np.diff([*self._rows, height]), np.diff([*self._columns, width])).reshape(-1)
        self._bins = GRID**2 * (DIRECTIONS + 1)
        row = np.searchsorted(self._rows, np.arange(height), "right") - 1
        column = np.searchsorted(self._columns, np.arange(width), "right") - 1
        self._first_bin = ((row[:, None] * GRID + column) * (DIRECTIONS + 1)).astype(np.int64)

    def __call__(self, velocity: Floats) -> Floats:
        """Pool one flow to float32 (99,): a cell's eight directions, still, mean and peak, cell by cell.

        Args:
            velocity: (height, width, 2), pixels a second to the right and down.
        """
        x, y = velocity[..., 0], velocity[..., 1]
        speed = np.sqrt(x * x + y * y)
        bins = np.where(speed < STILL_PX_S, STILL, directions(x, y))
        places = (self._first_bin + bins).reshape(-1)
        still = np.bincount(places, minlength=self._bins).reshape(GRID**2, -1)[:, STILL] / self._area
        sums = np.bincount(places, speed.reshape(-1), self._bins).reshape(GRID**2, -1)
        by_row = np.maximum.reduceat(speed, self._rows, axis=0)
        peak = np.maximum.reduceat(by_row, self._columns, axis=1).reshape(-1)
        numbers = np.empty((GRID**2, DIRECTIONS + 3), np.float32)
        numbers[:, :DIRECTIONS] = np.log1p(sums[:, :DIRECTIONS] / self._area[:, None])
        numbers[:, STILL] = still
        numbers[:, -2], numbers[:, -1] = np.log1p(sums.sum(axis=1) / self._area), np.log1p(peak)
        return numbers.reshape(-1)


def directions(x: Floats, y: Floats) -> npt.NDArray[np.int64]:
    """Nearest of eight directions, 0 to 7 from right by way of down, for each pixel's movement.

    Turned by half a bin, a movement's octant follows from two signs and one comparison.
    """
    turned_x, turned_y = _COS * x - _SIN * y, _SIN * x + _COS * y
    upper, left, steep = turned_y < 0, turned_x < 0, np.abs(turned_y) > np.abs(turned_x)
    number: npt.NDArray[np.int64] = _OCTANTS[upper * 4 + left * 2 + steep]
    return number


_COS, _SIN = np.float32(np.cos(np.pi / 8)), np.float32(np.sin(np.pi / 8))
_OCTANTS = np.array([0, 1, 3, 2, 7, 6, 4, 5])
"""By 4 * upper + 2 * left + steep."""


def mirrored_flow() -> npt.NDArray[np.int64]:
    """Order that turns flow features into those of the mirrored picture, (99,).

    Cells change sides, and so do the directions: right (0) becomes left (4), down (2) stays.
    """
    numbers = np.arange(DIRECTIONS + 3)
    numbers[:DIRECTIONS] = (DIRECTIONS // 2 - numbers[:DIRECTIONS]) % DIRECTIONS
    found: npt.NDArray[np.int64] = np.arange(FLOW_SIZE).reshape(GRID, GRID, -1)[:, ::-1, numbers].reshape(-1)
    return found


@cache
def _pooling(height: int, width: int) -> FlowPooling:
    return FlowPooling(height, width)


def mean_flow(flows: list[Floats]) -> Floats:
    """Flow features of a sampled frame, float32 (99,): the mean over its flows in float16, else zeros."""
    if not flows:
        return np.zeros(FLOW_SIZE, np.float32)
    mean: npt.NDArray[np.float64] = np.stack(flows).mean(axis=0, dtype=np.float64)
    return mean.astype(np.float16).astype(np.float32)
