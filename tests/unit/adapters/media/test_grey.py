"""Deep grey pictures: contrast by percentiles of the video, blank ones recognised, odd raw AVIs named."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from vidpipe.adapters.media.binaries import Tools
from vidpipe.adapters.media.deep_grey import MOST_PIXELS, Levels, deep_format, levels_of
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.errors import Unreadable
from vidpipe.records.features import FrameTransform, View
from vidpipe.records.videos import Pixels
from vidpipe.vision.frame_quality import PictureStats
from vidpipe.vision.optical_flow import default_flow

W, H = 64, 48
TRUE_SIZE = FrameTransform(size_px=48, crop_share=1.0, interpolation="neighbor")
MIDDLE = np.s_[16:32, 16:32]


def write(
    tools: Tools, file: Path, frames: npt.NDArray[np.generic], pix_fmt: str, codec: str = "ffv1"
) -> Path:
    """Frames (T, H, W), five a second, in a lossless file."""
    command = [
        tools.ffmpeg, "-nostdin", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", pix_fmt, "-s",
        f"{W}x{H}", "-r", "5", "-i", "-", "-strict", "-2", "-c:v", codec, str(file),
    ]  # fmt: skip
    subprocess.run(command, input=frames.tobytes(), check=True, stderr=subprocess.DEVNULL)
    return file


def body(low: float, high: float, dtype: str) -> npt.NDArray[Any]:
    """A warm square that walks over a cool ground, and one hot pixel."""
    frames = np.full((10, H, W), low)
    for number, frame in enumerate(frames):
        frame[8:40, 8 + number : 40 + number] = high
    frames[:, 0, 0] = 8 * high
    return frames.astype(dtype)


def seen(videos: VideoFiles, file: Path, *readers: int) -> list[Pixels]:
    """The sampled frames, views one below the other."""
    views = [View(TRUE_SIZE, reader) for reader in readers or (2,)]
    return [pixels for _, pixels in videos.decode(file, 2.5, views, 2.0, default_flow(2.5))]


@pytest.mark.parametrize(
    ("low", "high", "dtype", "pix_fmt", "name"),
    [
        (7400, 7520, "<u2", "gray16le", "thermal.mkv"),
        (7400, 7520, ">u2", "gray16be", "thermal.mkv"),
        (30, 50, "<u2", "gray10le", "ten.mkv"),
        (300, 420, "<u2", "gray12le", "twelve.mkv"),
    ],
)
def test_a_warm_body_stands_out_whatever_its_counts(
    low: int, high: int, dtype: str, pix_fmt: str, name: str, tools: Tools, tmp_path: Path
) -> None:
    frames = body(low, high, dtype)
    if "10" in pix_fmt or "12" in pix_fmt:
        frames[:, 0, 0] = 1023
    file = write(tools, tmp_path / name, frames, pix_fmt)
    first = seen(VideoFiles(tools), file)[0]
    assert first[MIDDLE].min() >= 250 and np.median(first[:6]) <= 5
    old, new = np.split(seen(VideoFiles(tools), file, 1, 2)[0], 2)
    assert np.array_equal(new, first)
    assert np.ptp(old[MIDDLE]) == 0 and abs(int(old[MIDDLE].mean()) - int(np.median(old[:6]))) < 12, (
        "reader 1"
    )


@pytest.mark.parametrize(
    ("pix_fmt", "codec", "name"), [("grayf32le", "exr", "kelvin.mov"), ("gbrpf32le", "ffv1", "kelvin.mkv")]
)
def test_floats_stretch_too_and_what_is_no_number_is_black(
    pix_fmt: str, codec: str, name: str, tools: Tools, tmp_path: Path
) -> None:
    frames = body(291.5, 309.0, "<f4")
    if pix_fmt == "gbrpf32le":
        noise = np.random.default_rng(0).random(frames.shape).astype("<f4") / 10
        frames = np.repeat((frames + noise)[:, None], 3, 1)
    else:
        frames[:, -4:] = np.nan
    file = write(tools, tmp_path / name, frames, pix_fmt, codec)
    first = seen(VideoFiles(tools), file)[0]
    assert first[MIDDLE].min() >= 250 and np.median(first[:6]) <= 5
    assert pix_fmt == "gbrpf32le" or first[-3:].max() <= 5


def fourcc(file: Path, code: bytes) -> Path:
    """The AVI with another compression code, as a camera writes it."""
    content = bytearray(file.read_bytes())
    strf = content.find(b"strf")
    content[strf + 24 : strf + 28] = code
    kind = content.find(b"vids")
    content[kind + 4 : kind + 8] = code
    file.write_bytes(content)
    return file


def test_an_avi_of_16_bit_grey_is_read_and_bayer_is_named_at_probe(tools: Tools, tmp_path: Path) -> None:
    videos = VideoFiles(tools)
    y16 = fourcc(write(tools, tmp_path / "y16.avi", body(7400, 7520, "<u2"), "gray16le", "rawvideo"), b"Y16 ")
    facts = videos.probe(y16)
    assert (facts.video_codec, facts.width_px, facts.height_px) == ("rawvideo", W, H)
    first = seen(videos, y16)[0]
    assert first[MIDDLE].min() >= 250 and np.median(first[:6]) <= 5
    assert videos.thumbnail(y16).startswith(b"\xff\xd8")
    own = write(tools, tmp_path / "own.avi", body(7400, 7520, "<u2"), "gray16le", "rawvideo")
    assert np.array_equal(seen(videos, fourcc(own, b"Y1\0\x10"))[0], first), "as ffmpeg itself tags it"
    for code in (b"RGGB", b"BA81", b"BYR2", b"BG12"):
        bayer = write(tools, tmp_path / "b.avi", np.zeros((5, H, W), np.uint8), "bayer_rggb8", "rawvideo")
        with pytest.raises(Unreadable, match=rf"pixel format '{code.decode()}' \(raw Bayer\)"):
            videos.probe(fourcc(bayer, code))


def test_levels_are_percentiles_of_the_whole_video_in_bounded_memory() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(1000, 2001, 4 * MOST_PIXELS).astype("<u2")
    pixels[::100_000] = 65535
    levels = levels_of(iter(np.split(pixels, 64)))
    assert abs(levels.low - 1001) <= 2 and abs(levels.high - 1999) <= 2
    assert levels_of(iter([])) == levels_of(iter([np.full(9, np.nan)])) == Levels(0.0, 1.0)


def test_which_pixel_formats_are_deep_grey() -> None:
    assert {deep_format(f"gray{n}le") for n in (9, 10, 12, 14, 16)} == {"gray16le"}
    assert deep_format("grayf32be") == deep_format("yaf16le") == "grayf32le"
    assert not any(map(deep_format, ("gray", "ya8", "yuv420p10le", "gbrp16le", "rgb24")))


def test_a_video_is_blank_where_no_view_of_any_frame_shows_anything() -> None:
    def is_blank(*frames: Pixels) -> bool:
        stats = PictureStats()
        for frame in frames:
            stats.add(frame)
        return stats.is_blank

    black, grey = np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 90, np.uint8)
    dot = grey.copy()
    dot[9, 9] = 93
    assert is_blank(black, grey) and is_blank(np.concatenate([black, grey]))
    assert not is_blank(black, dot) and not is_blank(dot, dot)
    assert not is_blank(np.concatenate([grey, dot])), "what another reader sees of it"


def test_a_grey_video_of_one_count_stays_of_one_value(tools: Tools, tmp_path: Path) -> None:
    file = write(tools, tmp_path / "one.mkv", np.full((5, H, W), 7400, "<u2"), "gray16le")
    assert all(np.ptp(frame) == 0 for frame in seen(VideoFiles(tools), file))
