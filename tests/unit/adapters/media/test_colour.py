"""Colours of reader 2: HDR tone-mapped by a fixed curve, untagged HD as BT.709; reader 1 keeps its bits."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidpipe.adapters.media import decoding
from vidpipe.adapters.media.binaries import Tools
from vidpipe.adapters.media.colour import KNEE, PEAK, PLAIN, Look, Tags, look_of
from vidpipe.adapters.media.process import LimitedProcess
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.records.features import FrameTransform, View

SQUARE = FrameTransform(size_px=32, crop_share=None, interpolation="bicubic+full_chroma_int")
NITS = (0, 1, 10, 50, 100, 203, 400, 1000)


def pq(nits: float) -> float:
    """SMPTE ST 2084: light in cd/m2 to signal."""
    y = (nits / 10000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375)


def hlg(nits: float) -> float:
    """ITU-R BT.2100, a display of 1,000 cd/m2 with gamma 1.2: light of grey to signal."""
    scene = (nits / 1000) ** (1 / 1.2)
    if scene <= 1 / 12:
        return float(np.sqrt(3 * scene))
    return float(0.17883277 * np.log(12 * scene - 0.28466892) + 0.55991073)


def sdr(nits: float) -> float:
    """The curve as documented, then BT.1886's display: light to a value of 255."""
    light, j = nits / 203, KNEE
    if light > j:
        a = -j * j * (PEAK - 1) / (j * j - 2 * j + PEAK)
        b = (j * j - 2 * j * PEAK + PEAK) / (PEAK - 1)
        light = (b * b + 2 * b * j + j * j) / (b - a) * (light + a) / (light + b)
    return float(255 * min(light ** (1 / 2.4), 1.0))


def write(
    tools: Tools, file: Path, signal: float, tags: dict[str, str], *, size: tuple[int, int] = (64, 48)
) -> Path:
    """Two frames of one grey, 10 bits of limited range, lossless, tagged."""
    width, height = size
    luma = np.full(width * height, round(64 + 876 * signal), "<u2")
    chroma = np.full(width * height // 2, 512, "<u2")
    tagged = "setparams=range=tv" + "".join(f":{name}={value}" for name, value in tags.items())
    command = [
        tools.ffmpeg, "-nostdin", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p10le",
        "-s", f"{width}x{height}", "-r", "5", "-i", "-", "-vf", tagged, "-c:v", "ffv1", str(file),
    ]  # fmt: skip
    subprocess.run(command, input=(luma.tobytes() + chroma.tobytes()) * 2, check=True)
    return file


def seen(videos: VideoFiles, file: Path, *readers: int) -> list[np.ndarray]:
    """The first frame as each reader sees it."""
    views = [View(SQUARE, reader) for reader in readers or (2,)]
    frames = [pixels for _, pixels in videos.decode(file, 4.0, views, 1.0)]
    assert frames
    return np.split(frames[0], len(views))


def bt2020(transfer: str) -> dict[str, str]:
    return {"color_trc": transfer, "color_primaries": "bt2020", "colorspace": "bt2020nc"}


@pytest.mark.parametrize(("transfer", "signal_of"), [("smpte2084", pq), ("arib-std-b67", hlg)])
def test_grey_of_known_light_comes_out_as_the_documented_curve_says(
    transfer: str, signal_of: object, tools: Tools, tmp_path: Path
) -> None:
    assert callable(signal_of)
    videos, got = VideoFiles(tools), []
    for nits in NITS:
        file = write(tools, tmp_path / f"{nits}.mkv", signal_of(nits), bt2020(transfer))
        (square,) = seen(videos, file)
        assert np.ptp(square) <= 1, "grey stays grey"
        got.append(int(square.mean().round()))
    assert np.allclose(got, [sdr(nits) for nits in NITS], atol=2), (got, [round(sdr(n)) for n in NITS])
    assert 180 <= got[NITS.index(100)] <= 190


def test_only_the_transfer_is_tagged_and_reader_1_keeps_its_bits(tools: Tools, tmp_path: Path) -> None:
    file = write(tools, tmp_path / "pq.mkv", pq(100), {"color_trc": "smpte2084"})
    old, new = seen(VideoFiles(tools), file, 1, 2)
    assert abs(float(old.mean()) - 128) <= 3 and abs(float(new.mean()) - 184) <= 1
    (alone,) = seen(VideoFiles(tools), file, 1)
    assert np.array_equal(alone, old)


def patch(tools: Tools, file: Path, size: str, matrix: str, *, tagged: bool) -> Path:
    """A blue patch of RGB 32, 96, 192 in the given matrix, which the file names or not."""
    named = f"colorspace={matrix}" if tagged else "colorspace=unknown"
    subprocess.run(
        [
            tools.ffmpeg, "-nostdin", "-loglevel", "error", "-y", "-f", "lavfi", "-i",
            f"color=0x2060C0:s={size}:d=0.4:r=5,format=rgb24,scale=out_color_matrix={matrix},format=yuv420p,"
            f"setparams=color_primaries=unknown:color_trc=unknown:{named}",
            "-c:v", "ffv1", str(file),
        ],
        check=True,
    )  # fmt: skip
    return file


@pytest.mark.parametrize(
    ("size", "matrix", "tagged"),
    [
        ("1280x720", "bt709", False),
        ("720x1280", "bt709", False),
        ("640x480", "smpte170m", False),
        ("720x576", "smpte170m", False),
        ("1280x720", "smpte170m", True),
        ("640x480", "bt709", True),
    ],
)
def test_the_tags_say_the_matrix_and_where_they_are_silent_the_size(
    size: str, matrix: str, tagged: bool, tools: Tools, tmp_path: Path
) -> None:
    file = patch(tools, tmp_path / "patch.mkv", size, matrix, tagged=tagged)
    (square,) = seen(VideoFiles(tools), file)
    assert np.abs(square.reshape(-1, 3).mean(0) - (32, 96, 192)).max() <= 3


@pytest.mark.parametrize("size", ["1280x720", "64x48"])
@pytest.mark.parametrize(
    "picture",
    [
        "format=yuv420p", "format=yuv444p,setparams=colorspace=bt709",
        "format=yuv420p,setparams=colorspace=smpte170m",
        "format=gbrp", "format=pal8", "format=gray", "format=gray16le", "format=gbrp10le", "format=yuva420p",
        "format=yuv420p10le,setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084",
    ],
)  # fmt: skip
def test_a_guess_of_the_colours_changes_no_bit_whether_right_or_wrong(
    size: str, picture: str, tools: Tools, tmp_path: Path
) -> None:
    file = tmp_path / "x.nut"
    source = f"testsrc2=s={size}:d=0.4:r=5,{picture}"
    command = [tools.ffmpeg, "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", source]
    subprocess.run([*command, "-c:v", "rawvideo", str(file)], check=True)
    for views in ([View(SQUARE, 2)], [View(SQUARE, 1)], [View(SQUARE, 1), View(SQUARE, 2)]):
        guesses = [
            np.stack([frame for _, frame in VideoFiles(tools).decode(file, 5.0, views, 1.0, pixels=pixels)])
            for pixels in (0, 1920 * 1080)
        ]
        assert len(guesses[0]) == 2 and np.array_equal(guesses[0], guesses[1])


def test_an_hd_video_whose_pixels_are_known_starts_one_decoder(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []

    class Counted(LimitedProcess):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            started.append(self)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(decoding, "LimitedProcess", Counted)
    for tagged in (True, False):
        file = patch(tools, tmp_path / f"{tagged}.mkv", "1280x720", "bt709", tagged=tagged)
        started.clear()
        assert len(list(VideoFiles(tools).decode(file, 5.0, [View(SQUARE, 2)], 1.0, pixels=1280 * 720))) == 2
        assert len(started) == 1


LINES: Sequence[tuple[str, Tags, Look]] = [
    (
        "[info]   Stream #0:0[0x1](und): Video: h264 (High) (avc1 / 0x31637661), yuv420p(progressive), "
        "1920x1080 [SAR 1:1 DAR 16:9], 20 kb/s",
        Tags("yuv420p", width_px=1920, height_px=1080),
        Look(matrix="bt709"),
    ),
    (
        "[info]   Stream #0:1: Video: hevc (Main 10), 1 reference frame, yuv420p10le(tv, "
        "bt2020nc/bt2020/smpte2084, progressive, left), 3840x2160, 5 fps",
        Tags("yuv420p10le", "bt2020nc", "bt2020", "smpte2084", 3840, 2160),
        Look(hdr=Tags("yuv420p10le", "bt2020nc", "bt2020", "smpte2084")),
    ),
    (
        "[info]   Stream #0:0: Video: mjpeg (Baseline), yuvj420p(pc, bt470bg/unknown/unknown), 1920x1080, ",
        Tags("yuvj420p", "bt470bg", "unknown", "unknown", 1920, 1080),
        PLAIN,
    ),
    (
        "[info]   Stream #0:0: Video: h264, yuv420p(tv, bt709, top first), 1920x1080, 25 fps",
        Tags("yuv420p", "bt709", "bt709", "bt709", 1920, 1080),
        Look(matrix="bt709"),
    ),
    (
        "[info]   Stream #0:0: Video: rawvideo, bgr24, 1920x1080, 25 fps",
        Tags("bgr24", width_px=1920, height_px=1080),
        PLAIN,
    ),
    ("[info]   Stream #0:0: Video: none", Tags("unknown"), PLAIN),
]  # fmt: skip


@pytest.mark.parametrize(("line", "tags", "look"), LINES)
def test_tags_are_read_from_what_ffmpeg_says_of_the_stream(line: str, tags: Tags, look: Look) -> None:
    assert Tags.parse(line) == tags
    assert look_of(tags) == look


def test_frames_that_know_more_than_their_container_are_believed(tools: Tools, tmp_path: Path) -> None:
    """Matroska without the transfer, and HEVC whose own header has it: a remux of an HDR recording."""
    lossless = write(tools, tmp_path / "x.mkv", pq(100.0), {"colorspace": "bt2020nc"})
    remuxed = tmp_path / "remuxed.mkv"
    vui = "lossless=1:log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
    encoding = ["-c:v", "libx265", "-x265-params", vui, str(remuxed)]
    subprocess.run([tools.ffmpeg, "-loglevel", "error", "-i", str(lossless), *encoding], check=True)

    (remuxed_pixels,) = seen(VideoFiles(tools), remuxed)

    assert abs(float(remuxed_pixels.mean()) - sdr(100.0)) <= 1.5
    assert Tags("yuv420p", "bt709").seen_in({"space": "unknown", "trc": "smpte2084"}) == Tags(
        "yuv420p", "bt709", transfer="smpte2084"
    )
