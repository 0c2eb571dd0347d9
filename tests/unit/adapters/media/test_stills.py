"""Stills: the frame of that time, with the colours, the shape and the stream that the classifier sees."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from vidpipe.adapters.media.binaries import Tools
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.errors import NoFrames
from vidpipe.records.features import FrameTransform, View

COLOURS = ("red", "lime", "blue", "yellow")
"""One a second, so that a picture says its time."""
RGB = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0)}
SECONDS = ",".join(f"color={name}:s=64x48:r=5:d=1[{name}]" for name in COLOURS).replace(",", ";")
JOINED = f"{SECONDS};{''.join(f'[{name}]' for name in COLOURS)}concat=n={len(COLOURS)}"


def write(tools: Tools, file: Path, *arguments: str, graph: str = JOINED) -> Path:
    command = [tools.ffmpeg, "-nostdin", "-loglevel", "error", "-y", "-filter_complex", f"{graph}[out]"]
    subprocess.run([*command, "-map", "[out]", *arguments, str(file)], check=True)
    return file


def seen(jpeg: bytes) -> npt.NDArray[np.float64]:
    return np.asarray(Image.open(BytesIO(jpeg)).convert("RGB"), np.float64)


def colour_of(jpeg: bytes) -> str:
    mean = seen(jpeg).mean(axis=(0, 1))
    return min(RGB, key=lambda name: float(np.abs(mean - RGB[name]).max()))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("sought.mp4", ("-c:v", "libx264", "-g", "100")),
        ("sought.mkv", ("-c:v", "ffv1")),
        ("no_index.webp", ("-c:v", "libwebp_anim", "-lossless", "1")),
        ("starts_late.mp4", ("-c:v", "libx264", "-output_ts_offset", "7")),
    ],
)
def test_a_still_shows_the_frame_of_its_time(
    videos: VideoFiles, tools: Tools, tmp_path: Path, name: str, arguments: Sequence[str]
) -> None:
    file = write(tools, tmp_path / name, *arguments)

    stills = videos.pictures(file, [0.0, 1.0, 2.0, 3.0])

    assert [colour_of(jpeg) for jpeg in stills] == list(COLOURS)
    assert colour_of(videos.thumbnail(file)) == "blue", "the first frame of the second half"


def test_where_a_seek_lands_behind_the_time_the_frame_is_decoded_up_to(
    videos: VideoFiles, tools: Tools, tmp_path: Path
) -> None:
    """In a transport stream ffmpeg's seek to 1.2 s lands on the key frame of 2.4 s."""
    file = write(tools, tmp_path / "own_clock.ts", "-c:v", "mpeg2video", "-g", "12", "-muxdelay", "30")
    assert [colour_of(jpeg) for jpeg in videos.pictures(file, [0.0, 1.2, 2.2, 3.2])] == list(COLOURS)


@pytest.mark.parametrize("name", ["raw.264", "raw.m2v", "frames.mjpg"])
def test_a_stream_without_a_clock_shows_a_frame_too(
    videos: VideoFiles, tools: Tools, tmp_path: Path, name: str
) -> None:
    raw = {"frames.mjpg": ("-f", "mjpeg", "-q:v", "2")}.get(name, ())
    file = write(tools, tmp_path / name, *raw)
    assert colour_of(videos.thumbnail(file)) in COLOURS


def test_a_duration_that_lies_costs_the_middle_and_not_the_picture(
    videos: VideoFiles, tools: Tools, tmp_path: Path
) -> None:
    stretched = f"{JOINED},setpts='if(eq(N,19),36000/TB,PTS)'"  # the last frame shows after ten hours
    file = write(tools, tmp_path / "lies.mkv", "-c:v", "libx264", "-fps_mode", "vfr", graph=stretched)
    assert (videos.probe(file).duration_s or 0) > 30_000
    assert colour_of(videos.thumbnail(file)) in COLOURS


TEST_PICTURE = "testsrc2=s=64x48:r=5:d=2"
GREY_16 = "gradients=s=64x48:r=5:d=2:c0=0x1c1c1c:c1=0x1e1e1e:n=2:speed=0.00001,format=gray16le"


@pytest.mark.parametrize(
    ("name", "graph", "arguments", "size"),
    [
        ("plain.mp4", TEST_PICTURE, (), (160, 120)),
        ("wide_pixels.mp4", f"{TEST_PICTURE},setsar=2", (), (160, 60)),
        ("tall_pixels.mkv", f"{TEST_PICTURE},setsar=1/2", ("-c:v", "ffv1"), (107, 160)),
        ("small.mkv", "testsrc2=s=16x12:r=5:d=2", ("-c:v", "ffv1"), (160, 120)),
        ("thin.mkv", "testsrc2=s=2048x2:r=5:d=2", ("-c:v", "ffv1", "-pix_fmt", "yuv444p"), (160, 1)),
        (
            "hdr.mkv",
            f"{TEST_PICTURE},format=yuv420p10le,setparams=colorspace=bt2020nc:color_primaries=bt2020"
            ":color_trc=smpte2084:range=tv",
            ("-c:v", "ffv1"),
            (160, 120),
        ),
        ("hd_untagged.mp4", "testsrc2=s=1280x720:r=5:d=1", ("-pix_fmt", "yuv420p"), (160, 90)),
        ("thermal.mkv", GREY_16, ("-c:v", "ffv1"), (160, 120)),
    ],
)
def test_a_still_has_the_shape_and_the_colours_that_the_classifier_sees(
    videos: VideoFiles, tools: Tools, tmp_path: Path, name: str, graph: str, arguments: Sequence[str],
    size: tuple[int, int],
) -> None:  # fmt: skip
    file = write(tools, tmp_path / name, *arguments, graph=graph)
    square = FrameTransform(size_px=160, crop_share=None, interpolation="area+full_chroma_int")
    decoding = videos.decode(file, 100, [View(square, reader=2)], None)
    _, frame = next(iter(decoding))

    (still,) = videos.pictures(file, [0.0])

    picture = Image.open(BytesIO(still))
    assert picture.format == "JPEG" and picture.size == size
    as_decoded = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX), np.float64)
    assert np.abs(seen(still) - as_decoded).mean() < 12, "JPEG and another scaling, no other colours"


def test_the_stream_that_is_classified_is_shown(videos: VideoFiles, tools: Tools, tmp_path: Path) -> None:
    """A dashcam's preview comes first in the file, and is not the video."""
    graph = "color=red:s=32x24:r=5:d=2[small];color=blue:s=320x240:r=5:d=2"
    file = write(tools, tmp_path / "two.mkv", "-map", "[small]", "-c:v", "ffv1", graph=graph)
    swapped = tmp_path / "preview_first.mkv"
    command = [tools.ffmpeg, "-nostdin", "-loglevel", "error", "-y", "-i", str(file), "-map", "0:1"]
    subprocess.run([*command, "-map", "0:0", "-c", "copy", str(swapped)], check=True)

    assert videos.probe(swapped).stream_index == 1
    assert colour_of(videos.thumbnail(swapped)) == "blue"


def test_what_gives_no_frame_says_so(videos: VideoFiles, tools: Tools, tmp_path: Path) -> None:
    file = write(tools, tmp_path / "cut.mkv", "-c:v", "libx264")
    head = file.read_bytes()[:800]
    (tmp_path / "head.mkv").write_bytes(head)
    with pytest.raises(NoFrames, match="no frame decodes"):
        videos.thumbnail(tmp_path / "head.mkv")
    assert videos.pictures(tmp_path / "head.mkv", [0.0, 1.0]) == [b"", b""]


@pytest.mark.slow
def test_every_device_file_that_is_right_has_a_thumbnail_of_its_shape(
    videos: VideoFiles, shared: Path
) -> None:
    devices = shared / "devices"
    with (devices / "DEVICES.csv").open(encoding="utf-8", newline="") as stream:
        right = [row["path"] for row in csv.DictReader(stream) if row["verdict"] == "ok"]
    assert right
    for name in right:
        facts = videos.probe(devices / name)
        width, height = Image.open(BytesIO(videos.thumbnail(devices / name))).size
        shape = (facts.display_width_px or 1) / (facts.display_height_px or 1)
        assert max(width, height) == 160 and abs(width / height / shape - 1) < 0.01, name
