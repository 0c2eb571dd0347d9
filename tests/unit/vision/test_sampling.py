"""Which instants we look at: the rule itself, and that ffmpeg follows the same rule on real videos.

The oracle for frames and times is plain ffprobe and plain ffmpeg without any sampling.
"""

import subprocess
from collections.abc import Callable
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidpipe.adapters.media.binaries import Tools
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.demo.clips import DemoCollection
from vidpipe.records.features import FrameTransform, View
from vidpipe.vision.optical_flow import default_flow
from vidpipe.vision.sampling import EDGE_S, expected_samples, sampled_indices

deterministic = settings(derandomize=True, deadline=None, max_examples=200)

RATES = (1.0, 4.0, 7.5)
TICKS_PER_S = 1000

ticks = st.builds(
    lambda start, gaps: list(accumulate([start, *gaps])),
    st.integers(0, 100_000),
    st.lists(st.integers(1, 700), max_size=60),
)
"""Increasing times in milliseconds, unevenly spaced, starting anywhere."""
rates = st.sampled_from([0.5, 1.0, 2.5, 4.0, 7.5, 12.0, 25.0])


def seconds(times: list[int]) -> list[float]:
    return [t / TICKS_PER_S for t in times]


def cells(times: list[int], rate: float) -> list[int]:
    """The cell of each frame, in exact arithmetic."""
    edge = Fraction(EDGE_S)
    return [int((Fraction(t - times[0], TICKS_PER_S) + edge) * Fraction(rate)) for t in times]


# -- the rule -------------------------------------------------------------------------------------


@deterministic
@given(ticks, rates)
def test_the_first_frame_of_each_cell_speaks_and_no_other(times: list[int], rate: float) -> None:
    of_frame = cells(times, rate)
    firsts = [i for i, cell in enumerate(of_frame) if cell not in of_frame[:i]]
    assert sampled_indices(seconds(times), rate) == firsts


@deterministic
@given(ticks, rates)
def test_no_cell_speaks_twice_and_no_cell_with_a_frame_is_silent(times: list[int], rate: float) -> None:
    of_frame = cells(times, rate)
    spoken = [of_frame[i] for i in sampled_indices(seconds(times), rate)]
    assert len(spoken) == len(set(spoken))
    assert set(spoken) == set(of_frame)


@deterministic
@given(ticks, rates)
def test_indices_increase_and_start_with_the_first_frame(times: list[int], rate: float) -> None:
    chosen = sampled_indices(seconds(times), rate)
    assert chosen[0] == 0
    assert all(a < b for a, b in pairwise(chosen))
    assert chosen[-1] < len(times)


@deterministic
@given(ticks, rates, st.integers(0, 10_000_000))
def test_a_later_start_of_the_clock_changes_nothing(times: list[int], rate: float, shift: int) -> None:
    later = [t + shift for t in times]
    assert sampled_indices(seconds(later), rate) == sampled_indices(seconds(times), rate)


@deterministic
@given(ticks, rates, st.data())
def test_times_rounded_to_microseconds_choose_the_same_frames(
    times: list[int], rate: float, data: st.DataObject
) -> None:
    error = st.floats(-EDGE_S / 2.5, EDGE_S / 2.5)
    noisy = [t + data.draw(error) for t in seconds(times)]
    assert sampled_indices(noisy, rate) == sampled_indices(seconds(times), rate)


def test_frames_on_the_edges_of_thirds_of_a_second_are_not_lost_to_rounding() -> None:
    # 30 frames a second, written with six decimals: 0.333333 lies below 1/3.
    times = [round(k / 30, 6) for k in range(90)]
    assert sampled_indices(times, 3.0) == list(range(0, 90, 10))


def test_the_picture_in_the_docstring_is_true() -> None:
    times = [0.0, 0.4, 0.8, 1.4, 1.7, 3.0, 3.6]
    assert sampled_indices(times, 1.0) == [0, 3, 5]


def test_no_frame_gives_no_sample() -> None:
    assert sampled_indices([], 4.0) == []


def test_a_slow_video_gives_each_frame_once() -> None:
    assert sampled_indices([0.0, 1.0, 2.0, 3.0], 1000.0) == [0, 1, 2, 3]


@deterministic
@given(st.integers(1, 400), st.sampled_from([10, 24, 25, 30, 60]), rates)
def test_the_expected_number_is_within_one_of_the_true_one_for_even_spacing(
    frames: int, source_fps: int, rate: float
) -> None:
    times = [k / source_fps for k in range(frames)]
    true = len(sampled_indices(times, rate))
    assert abs(expected_samples(frames / source_fps, frames, rate) - true) <= 1


@pytest.mark.parametrize(
    ("duration_s", "frames", "expected"),
    [(None, None, 1), (None, 7, 7), (None, 0, 1), (0.0, 9, 9), (2.0, None, 9), (2.0, 3, 3), (2.0, 999, 9)],
)
def test_what_is_unknown_about_a_video_is_estimated_from_the_rest(
    duration_s: float | None, frames: int | None, expected: int
) -> None:
    assert expected_samples(duration_s, frames, 4.0) == expected


# -- ffmpeg follows it ----------------------------------------------------------------------------

SMALL = FrameTransform(size_px=24, crop_share=1.0, interpolation="bicubic")


def true_times(file: Path, tools: Tools) -> list[float]:
    """Presentation times of all frames, as ffprobe says them."""
    command = [tools.ffprobe, "-v", "error", "-select_streams", "V:0", "-show_entries",
               "frame=best_effort_timestamp_time", "-of", "csv=p=0", str(file)]  # fmt: skip
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [float(first) for line in lines if (first := line.split(",")[0])]


def true_frames(file: Path, tools: Tools) -> np.ndarray:
    """All frames, decoded by plain ffmpeg, as the central square at the size of `SMALL`."""
    square = f"crop='min(iw,ih)':'min(iw,ih)',scale={SMALL.size_px}:{SMALL.size_px}:flags=bicubic"
    command = [tools.ffmpeg, "-v", "error", "-i", str(file), "-map", "0:V:0", "-fps_mode", "passthrough",
               "-vf", square, "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]  # fmt: skip
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, SMALL.size_px, SMALL.size_px, 3)


def assert_ffmpeg_takes_the_sampled_frames(file: Path, rate: float, videos: VideoFiles) -> list[float]:
    """The decoder's frames and times are those that the definition picks from the oracle's."""
    times, frames = true_times(file, videos.tools), true_frames(file, videos.tools)
    assert len(times) == len(frames) > 0
    wanted = sampled_indices(times, rate)
    decoded = list(videos.decode(file, rate, [View(SMALL)], duration_s=None))
    got = [time_s for time_s, _ in decoded]
    assert len(got) == len(wanted)
    since_first = [times[i] - times[0] for i in wanted]
    np.testing.assert_allclose(np.array(got) - got[0], since_first, rtol=0, atol=2e-6)
    for (time_s, pixels), index in zip(decoded, wanted, strict=True):
        assert np.array_equal(pixels, frames[index]), f"frame {index} at {time_s} s"
    if times[0] == 0:
        assert got[0] == 0
    return got


@pytest.mark.parametrize("rate", RATES)
def test_ffmpeg_takes_the_same_frames_of_generated_clips(
    rate: float, videos: VideoFiles, clips: DemoCollection
) -> None:
    files = sorted(clips.labelled.rglob("*.mp4"))[::11]
    assert files
    for file in files:
        assert len(assert_ffmpeg_takes_the_sampled_frames(file, rate, videos)) >= 2


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", ["vfr.mp4", "start_at_100s.mp4", "fps1.mp4", "fps1000.mp4"])
def test_ffmpeg_takes_the_same_frames_of_awkward_clips(
    name: str, rate: float, videos: VideoFiles, shared: Path
) -> None:
    assert_ffmpeg_takes_the_sampled_frames(shared / "hostile" / "made" / name, rate, videos)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, tools: Tools) -> Callable[..., Path]:
    """Films ffmpeg's test picture at given rate, with frames left out, from a given start."""
    folder = tmp_path_factory.mktemp("films")

    def make(name: str, fps: str, keep: str = "1", start_s: float = 0.0, length_s: float = 3.0) -> Path:
        source = f"testsrc2=size=64x48:rate={fps}:duration={length_s},select='{keep}'"
        command = [tools.ffmpeg, "-v", "error", "-y", "-f", "lavfi", "-i", source, "-fps_mode",
                   "passthrough", "-c:v", "mpeg4", "-output_ts_offset", str(start_s),
                   str(folder / name)]  # fmt: skip
        subprocess.run(command, check=True)
        return folder / name

    return make


@pytest.mark.parametrize("rate", RATES)
def test_ffmpeg_takes_the_same_frames_when_their_spacing_is_uneven(
    rate: float, film: Callable[..., Path], videos: VideoFiles
) -> None:
    # Gaps from 1/30 s to 12/30 s; Matroska rounds the times to milliseconds.
    file = film("uneven.mkv", "30", keep="not(mod(n*n,7))+lt(mod(n,31),9)")
    times = true_times(file, videos.tools)
    assert len({round(b - a, 2) for a, b in pairwise(times)}) > 2
    assert_ffmpeg_takes_the_sampled_frames(file, rate, videos)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("fps", ["30000/1001", "24", "15"])
def test_ffmpeg_takes_the_same_frames_where_frames_fall_on_the_edges_of_cells(
    fps: str, rate: float, film: Callable[..., Path], videos: VideoFiles
) -> None:
    file = film(f"even_{fps.replace('/', '_')}.mp4", fps, length_s=4.0)
    assert_ffmpeg_takes_the_sampled_frames(file, rate, videos)


def test_a_gap_in_the_video_gives_no_invented_frame(film: Callable[..., Path], videos: VideoFiles) -> None:
    file = film("gap.mkv", "25", keep="lt(t,0.5)+gt(t,2.2)")
    got = assert_ffmpeg_takes_the_sampled_frames(file, 4.0, videos)
    assert not [t for t in got if 0.5 <= t <= 2.2]
    assert len(got) < 3.0 * 4.0 - 5


@pytest.mark.parametrize("rate", RATES)
def test_cells_are_counted_from_the_first_frame_also_where_the_sound_starts_earlier(
    rate: float, tools: Tools, videos: VideoFiles, tmp_path: Path
) -> None:
    file = tmp_path / "late_picture.mkv"
    command = [tools.ffmpeg, "-v", "error", "-f", "lavfi", "-i", "sine=duration=3", "-itsoffset", "0.3",
               "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=3", "-c:v", "mpeg4",
               str(file)]  # fmt: skip
    subprocess.run(command, check=True)
    got = assert_ffmpeg_takes_the_sampled_frames(file, rate, videos)
    assert got[0] == true_times(file, tools)[0] == pytest.approx(0.3, abs=0.05)


def test_a_clock_that_starts_late_does_not_change_the_choice(
    film: Callable[..., Path], videos: VideoFiles
) -> None:
    keep = "not(mod(n*n,7))+lt(mod(n,31),9)"
    early, late = film("early.mkv", "30", keep), film("late.mkv", "30", keep, start_s=100.0)
    assert true_times(late, videos.tools)[0] == pytest.approx(100.0, abs=0.1)
    one = assert_ffmpeg_takes_the_sampled_frames(early, 4.0, videos)
    other = assert_ffmpeg_takes_the_sampled_frames(late, 4.0, videos)
    assert np.allclose(np.diff(one), np.diff(other), atol=2e-3)


# -- the picture changes its size in mid-stream ---------------------------------------------------


@pytest.fixture(scope="module")
def flapping(tmp_path_factory: pytest.TempPathFactory, tools: Tools) -> Path:
    """Ten segments of 0.12 s, now large, now small, as an adaptive stream records them."""
    folder = tmp_path_factory.mktemp("flapping")
    for n in range(10):
        size = "64x48" if n % 2 else "96x64"
        command = [tools.ffmpeg, "-v", "error", "-f", "lavfi", "-i",
                   f"testsrc2=size={size}:rate=25:duration=0.12", "-c:v", "libx264", "-output_ts_offset",
                   f"{0.12 * n:.2f}", "-muxdelay", "0", str(folder / f"{n}.ts")]  # fmt: skip
        subprocess.run(command, check=True)
    whole = folder / "whole.ts"
    whole.write_bytes(b"".join((folder / f"{n}.ts").read_bytes() for n in range(10)))
    return whole


@pytest.mark.parametrize("rate", RATES)
def test_instants_follow_true_time_where_the_picture_changes_its_size(
    rate: float, flapping: Path, videos: VideoFiles
) -> None:
    times = true_times(flapping, videos.tools)
    assert len(times) == 30
    decoding = videos.decode(flapping, rate, [View(SMALL, reader=2)], 1.2, default_flow(rate))
    moved = []
    got = []
    for time_s, _ in decoding:
        got.append(time_s)
        assert decoding.flow is not None
        moved.append(bool(decoding.flow.any()))
    wanted = [times[i] - times[0] for i in sampled_indices(times, rate)]
    np.testing.assert_allclose(np.array(got) - got[0], wanted, rtol=0, atol=2e-6)
    assert moved == [False] + [True] * (len(got) - 1)
    assert decoding.report and decoding.report.frames_decoded == 30


def test_reader_1_is_said_to_misread_what_changes_its_size(flapping: Path, videos: VideoFiles) -> None:
    decoding = videos.decode(flapping, 1.0, [View(SMALL, reader=1)], 1.2)
    assert len(list(decoding)) == 2
    assert decoding.report and "restarts sampling" in decoding.report.misread
