"""Recorders of science: SER and Phantom cine, with their true rate where the file knows it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from vidpipe.adapters.media.ser import HEADER_BYTES
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.records.features import DecodeReport, FrameTransform, View
from vidpipe.records.videos import Pixels

W, H, N = 64, 48, 20
SEEN = View(FrameTransform(size_px=48, crop_share=1.0, interpolation="neighbor"), reader=2)
EPOCH = 638_000_000_000_000_000
"""In 100 ns since the year 1."""
SETUP_BYTES = 0x163C + 4096


def frames(dtype: str) -> list[npt.NDArray[np.generic]]:
    """A ramp that moves; of 16 bits between 300 and 2,300."""
    x = np.arange(W)[None].repeat(H, 0)
    ramps = [(x * 3 + n) % 256 for n in range(N)]
    return [(ramp if dtype == "u1" else ramp * 8 + 300).astype(dtype) for ramp in ramps]


def ser(file: Path, dtype: str = "u1", *, flag: int = 1, fps: float | None = None) -> Path:
    """Grey pictures, the flag of the byte order, and times where there is a rate."""
    bits = 8 if dtype == "u1" else 12
    head = b"LUCAM-RECORDER" + struct.pack("<7I", 0, 0, flag, W, H, bits, N) + bytes(120 + 16)
    times = [EPOCH + round(n * 1e7 / fps) for n in range(N)] if fps else []
    body = b"".join(frame.tobytes() for frame in frames(dtype))
    file.write_bytes(head + body + struct.pack(f"<{len(times)}q", *times))
    return file


def cine(file: Path, dtype: str, fps: int) -> Path:
    """Uncompressed grey. Source: libavformat/cinedec.c has the offsets."""
    bits = 8 * np.dtype(dtype).itemsize
    pictures = [frame.tobytes() for frame in frames(dtype)]
    start = 84 + SETUP_BYTES + 8 * N
    head = b"CI" + struct.pack("<3H7I", 44, 0, 1, 0, N, 0, N, 44, 84, 84 + SETUP_BYTES) + bytes(8)
    bitmap = struct.pack("<3I2H6I", 40, W, H, 1, bits, 0, len(pictures[0]), 0, 0, 0, 0)
    setup = bytearray(SETUP_BYTES)
    struct.pack_into("<2sH", setup, 140, b"ST", SETUP_BYTES)
    struct.pack_into("<I", setup, 768, fps)
    offsets = [start + n * (8 + len(pictures[0])) for n in range(N)]
    body = b"".join(struct.pack("<2I", 8, len(picture)) + picture for picture in pictures)
    file.write_bytes(head + bitmap + bytes(setup) + struct.pack(f"<{N}q", *offsets) + body)
    return file


def decoded(videos: VideoFiles, file: Path) -> tuple[list[float], list[Pixels], DecodeReport]:
    decoding = videos.decode(file, 1000.0, [SEEN], None)
    times, pixels = zip(*decoding, strict=True)
    assert decoding.report
    return list(times), list(pixels), decoding.report


def test_the_times_behind_the_pictures_are_a_sers_rate(videos: VideoFiles, tmp_path: Path) -> None:
    file = ser(tmp_path / "moon.ser", fps=12.5)

    facts, (times, _, report) = videos.probe(file), decoded(videos, file)

    assert (facts.source_fps, facts.times_assumed, facts.frames_expected) == (12.5, False, N)
    assert times == pytest.approx([n / 12.5 for n in range(N)], abs=1e-4)
    assert not report.is_damaged


def test_without_times_a_sers_rate_is_assumed(videos: VideoFiles, tmp_path: Path) -> None:
    facts = videos.probe(ser(tmp_path / "moon.ser"))

    assert facts.times_assumed and facts.duration_s is None


def test_a_sers_byte_order_is_that_in_which_neighbours_are_alike(videos: VideoFiles, tmp_path: Path) -> None:
    right = decoded(videos, ser(tmp_path / "right.ser", "<u2", flag=1))[1]

    assert np.ptp(right[0]) > 130
    for name, dtype, flag in (("usual", "<u2", 0), ("big", ">u2", 0), ("odd", ">u2", 1)):
        pixels = decoded(videos, ser(tmp_path / f"{name}.ser", dtype, flag=flag))[1]
        assert np.array_equal(pixels, right), name


def test_a_ser_that_ends_between_two_pictures_is_partial(videos: VideoFiles, tmp_path: Path) -> None:
    file = ser(tmp_path / "cut.ser", fps=10)
    file.write_bytes(file.read_bytes()[: HEADER_BYTES + 12 * W * H])

    report = decoded(videos, file)[2]

    assert (report.is_damaged, report.frames_decoded, report.frames_expected) == (True, 12, None)


@pytest.mark.parametrize(("dtype", "fps"), [("u1", 1000), ("<u2", 20)])
def test_a_cine_is_read_at_its_own_rate(dtype: str, fps: int, videos: VideoFiles, tmp_path: Path) -> None:
    file = cine(tmp_path / "crash.cine", dtype, fps)

    facts, (times, pixels, report) = videos.probe(file), decoded(videos, file)

    assert (facts.container, facts.source_fps, facts.times_assumed) == ("cine", fps, False)
    assert times == pytest.approx([n / fps for n in range(N)], abs=1e-4)
    assert (report.is_damaged, report.frames_expected) == (False, N)
    assert np.ptp(pixels[0]) > 130
