"""Optical flow: which way, how fast, per second of true time, the same bits in any company."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import certain
from hypothesis import given, settings
from hypothesis import strategies as st

from vidpipe.adapters.media.binaries import Tools
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.errors import ConfigurationError
from vidpipe.records.features import FeatureSpec, FrameTransform, View
from vidpipe.records.videos import Floats
from vidpipe.vision.feature_specs import block_sizes, default_spec
from vidpipe.vision.optical_flow import (
    DIRECTIONS,
    FLOW_SIZE,
    STILL,
    FlowMeter,
    FlowPooling,
    default_flow,
    directions,
    mean_flow,
    mirrored_flow,
    numerics,
)  # fmt: skip

FLOW = default_flow(4.0)
SMALL = View(FrameTransform(32, None, "bicubic"), 2)
WAYS = ["right", "right-down", "down", "left-down", "left", "left-up", "up", "right-up"]
STEPS = {"right": (1, 0), "down": (0, 1), "left": (-1, 0), "up": (0, -1), "right-down": (1, 1)}


def texture(seed: int = 0) -> npt.NDArray[np.uint8]:
    """A smooth pattern, larger than the picture."""
    noise = np.random.default_rng(seed).random((200, 240))
    for _ in range(3):
        noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1) + np.roll(noise, (1, 1), (0, 1))) / 4
    low, high = noise.min(), noise.max()
    grey: npt.NDArray[np.uint8] = ((noise - low) / (high - low) * 255).astype(np.uint8)
    return grey


def shifted(dx: int, dy: int) -> npt.NDArray[np.uint8]:
    """The texture's middle, moved by so many pixels to the right and down."""
    return np.ascontiguousarray(texture()[50 - dy : 134 - dy, 60 - dx : 172 - dx])


def cells(numbers: Floats | None) -> Floats:
    return certain(numbers).reshape(9, DIRECTIONS + 3)


@pytest.mark.parametrize("way", STEPS)
def test_what_moves_one_way_fills_that_directions_numbers(way: str) -> None:
    meter, (x, y) = FlowMeter(FLOW), STEPS[way]
    assert meter.add(0.0, shifted(0, 0)) is None
    found = cells(meter.add(0.1, shifted(2 * x, 2 * y)))
    assert (found[:, :DIRECTIONS].argmax(axis=1) == WAYS.index(way)).all()
    true_px_s = 20 * np.hypot(x, y)
    assert np.expm1(found[:, -2]) == pytest.approx(np.full(9, true_px_s), rel=0.25)
    assert (found[:, STILL] < 0.1).all()


@pytest.mark.parametrize("way", STEPS)
def test_a_mirrored_picture_has_the_flow_that_the_mirrored_order_says(way: str) -> None:
    x, y = STEPS[way]
    pictures = [shifted(0, 0), shifted(2 * x, 2 * y)]
    pictures[1][:28, :37] = pictures[0][:28, :37]  # the upper left stands still
    one, other = FlowMeter(FLOW), FlowMeter(FLOW)
    for at, picture in enumerate(pictures):
        found = one.add(at / 10, picture)
        mirrored = other.add(at / 10, np.ascontiguousarray(picture[:, ::-1]))
    difference = np.abs(certain(mirrored) - certain(found)[mirrored_flow()])
    assert difference.mean() < 0.3 * np.abs(certain(mirrored) - certain(found)).mean()


def test_a_picture_that_stands_still_is_still_and_has_no_speed() -> None:
    meter = FlowMeter(FLOW)
    meter.add(0.0, shifted(0, 0))
    found = cells(meter.add(0.1, shifted(0, 0)))
    assert (found[:, STILL] == 1).all()
    assert (found[:, :DIRECTIONS] == 0).all()
    assert (found[:, -2:] < 0.5).all()


def test_speed_is_per_second_of_true_time_whatever_the_frame_rate() -> None:
    speeds = []
    for passed_s in (1 / 12, 1 / 6):
        meter = FlowMeter(FLOW)
        meter.add(5.0, shifted(0, 0))
        speeds.append(np.expm1(cells(meter.add(5.0 + passed_s, shifted(2, 0)))[:, -2]))
    assert speeds[0] == pytest.approx(2 * speeds[1], rel=1e-4)


def test_one_moving_thing_is_seen_in_its_cell_alone() -> None:
    velocity = np.zeros((84, 112, 2), np.float32)
    velocity[5:15, 80:90] = (0.0, -40.0)
    found = cells(FlowPooling(84, 112)(velocity))
    assert found[2, WAYS.index("up")] > 1
    assert found[2, -1] == pytest.approx(np.log1p(40))
    others = np.delete(found, 2, axis=0)
    assert (others[:, STILL] == 1).all() and (np.delete(others, STILL, axis=1) == 0).all()


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.floats(0, 2 * np.pi), st.floats(0.1, 100))
def test_the_direction_is_the_nearest_of_eight(angle: float, length: float) -> None:
    x, y = (np.array([length * way(angle)], np.float32) for way in (np.cos, np.sin))
    offset = (angle / (np.pi / 4) + 0.5) % 1
    if 1e-3 < offset < 1 - 1e-3:  # not on the border of two
        assert directions(x, y)[0] == int(angle / (np.pi / 4) + 0.5) % 8


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0, 30))
def test_directions_and_what_stands_still_add_up_to_the_mean_speed(seed: int, spread: float) -> None:
    velocity = np.random.default_rng(seed).normal(0, spread, (84, 112, 2)).astype(np.float32)
    found = cells(FlowPooling(84, 112)(velocity))
    of_directions, mean = np.expm1(found[:, :DIRECTIONS]).sum(axis=1), np.expm1(found[:, -2])
    assert (of_directions <= mean * 1.001 + 1e-3).all()
    assert (mean <= of_directions + 3 * found[:, STILL] + 1e-3).all()
    assert (found[:, -1] >= found[:, -2] - 1e-4).all()


def test_a_frame_without_flows_has_zeros_and_others_the_mean() -> None:
    assert mean_flow([]).tolist() == [0] * FLOW_SIZE
    two = [np.full(FLOW_SIZE, v, np.float32) for v in (1, 4)]
    assert mean_flow(two).tolist() == [2.5] * FLOW_SIZE


@pytest.mark.parametrize(("sample_fps", "fps"), [(4, 12), (1, 12), (5, 15), (7.5, 15), (12, 12), (25, 25)])
def test_flow_has_a_whole_number_of_frames_for_each_sampled_one(sample_fps: float, fps: float) -> None:
    assert default_flow(sample_fps).fps == fps


def test_a_flow_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="raft"):
        FlowMeter(replace(FLOW, method="raft"))


def test_the_numerics_class_names_opencv_and_its_instructions() -> None:
    assert numerics().startswith("opencv-")
    assert numerics().split("-", 2)[2]


# -- from real videos -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, tools: Tools) -> Callable[[str, str], Path]:
    folder = tmp_path_factory.mktemp("flow")

    def make(name: str, source: str) -> Path:
        command = [tools.ffmpeg, "-v", "error", "-y", "-f", "lavfi", "-i", source, "-c:v", "libx264",
                   "-fps_mode", "passthrough", "-pix_fmt", "yuv420p", str(folder / name)]  # fmt: skip
        subprocess.run(command, check=True)
        return folder / name

    return make


def blocks(videos: VideoFiles, file: Path, fps: float = 4.0, **more: Any) -> Floats:
    decoding = videos.decode(file, fps, [SMALL], 10.0, default_flow(fps), **more)
    return np.stack([certain(decoding.flow).copy() for _ in decoding])


def greys(tools: Tools, file: Path) -> np.ndarray:
    """All frames, small and grey, by plain ffmpeg."""
    command = [tools.ffmpeg, "-v", "error", "-i", str(file), "-fps_mode", "passthrough", "-vf",
               "scale=112:84:flags=area", "-pix_fmt", "gray", "-f", "rawvideo", "-"]  # fmt: skip
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.uint8).reshape(
        -1, 84, 112
    )


@pytest.mark.parametrize("rate", [12, 25, 5])
def test_a_block_is_the_mean_flow_since_the_sampled_frame_before(
    rate: int, film: Callable[..., Path], videos: VideoFiles, tools: Tools
) -> None:
    """Also where the source has fewer than 12 frames a second: between those that there are."""
    file = film(f"even{rate}.mp4", f"testsrc2=s=320x240:r={rate}:d=2")
    times = np.arange(2 * rate) / rate
    taken = np.unique(np.floor((times + 1e-6) * 12), return_index=True)[1]
    sampled = np.unique(np.floor((times + 1e-6) * 4), return_index=True)[1]
    pictures, meter, expected, flows = greys(tools, file), FlowMeter(FLOW), [], []
    for index in taken:
        found = meter.add(round(float(times[index]), 6), pictures[index])
        if found is not None:
            flows.append(found)
        if index in sampled:
            expected.append(mean_flow(flows))
            flows = []
    got = blocks(videos, file)
    assert got.shape == (8, FLOW_SIZE)
    assert got[0].tolist() == [0] * FLOW_SIZE
    np.testing.assert_allclose(got, np.stack(expected), atol=2e-3)


def test_a_gap_in_the_video_is_one_flow_over_its_true_time(
    film: Callable[..., Path], videos: VideoFiles
) -> None:
    file = film("gap.mkv", "testsrc2=s=320x240:r=24:d=4,select='lt(t,1)+gt(t,3)'")
    got = blocks(videos, file)
    assert np.isfinite(got).all()
    assert len(got) == 8


def test_a_single_frame_has_a_block_of_zeros(film: Callable[..., Path], videos: VideoFiles) -> None:
    file = film("single.mp4", "testsrc2=s=64x48:r=25:d=0.04")
    assert blocks(videos, file).tolist() == [[0] * FLOW_SIZE]


def test_the_bits_are_the_same_alone_and_beside_others(film: Callable[..., Path], videos: VideoFiles) -> None:
    file = film("bits.mp4", "mandelbrot=s=320x240:r=25,trim=duration=3,format=yuv420p")
    alone = blocks(videos, file)
    with ThreadPoolExecutor(4) as pool:
        for beside in pool.map(lambda _: blocks(videos, file), range(8)):
            assert np.array_equal(beside, alone)


def test_frames_and_times_are_those_of_a_decode_without_flow(
    film: Callable[..., Path], videos: VideoFiles
) -> None:
    file = film("both.mp4", "testsrc2=s=320x240:r=30:d=3")
    plain = list(videos.decode(file, 4.0, [SMALL], 3.0))
    beside = list(videos.decode(file, 4.0, [SMALL], 3.0, FLOW))
    assert [t for t, _ in plain] == [t for t, _ in beside]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(plain, beside, strict=True))


def test_leaving_a_decode_in_the_middle_leaves_no_thread_and_no_descriptor(
    film: Callable[..., Path], videos: VideoFiles
) -> None:
    import threading

    file = film("long.mp4", "testsrc2=s=320x240:r=25:d=20")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        frames = iter(videos.decode(file, 25.0, [SMALL], 20.0, default_flow(25.0)))
        next(frames)
        frames.close()
    assert not [t for t in threading.enumerate() if t.name == "flow"]
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


# -- the spec -------------------------------------------------------------------------------------


def test_the_default_spec_has_flow_as_its_last_block() -> None:
    spec = default_spec(4.0)
    assert (spec.reader, spec.flow) == (2, FLOW)
    assert block_sizes(spec)[-1] == FLOW_SIZE
    assert sum(block_sizes(spec)) == spec.feature_size
    assert FeatureSpec.from_json(spec.to_json()) == spec


def test_a_spec_of_reader_1_without_flow_is_spelt_as_before_there_were_such_fields() -> None:
    old = replace(default_spec(4.0), reader=1, flow=None, feature_size=3296)
    assert "reader" not in old.to_json() and "flow" not in old.to_json()
    assert sum(block_sizes(old)) == 3296
    assert len({old.feature_set_id, replace(old, reader=2).feature_set_id}) == 2
    assert replace(old, flow=FLOW).feature_set_id != replace(old, flow=replace(FLOW, fps=15)).feature_set_id


def test_a_reader_or_a_field_of_the_future_is_refused() -> None:
    text = default_spec(4.0).to_json()
    with pytest.raises(ConfigurationError, match="reader 3"):
        FeatureSpec.from_json(text.replace('"reader":2', '"reader":3'))
    with pytest.raises(ConfigurationError, match="sharpness"):
        FeatureSpec.from_json(text.replace('{"backbone"', '{"sharpness":1,"backbone"'))
