"""Healthy files of odd kinds are `ok`, damaged ones `partial`; other containers are named, not torn apart."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import certain

from vidpipe.adapters.media.binaries import Tools
from vidpipe.adapters.media.commands import decode_command
from vidpipe.adapters.media.container_ends import ends_early
from vidpipe.adapters.media.damage import PacketFlags
from vidpipe.adapters.media.log import FfmpegLog
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.errors import Forbidden, Unreadable
from vidpipe.records.features import DecodeReport, FrameTransform, View
from vidpipe.vision.optical_flow import default_flow

TINY = View(FrameTransform(size_px=8, crop_share=None, interpolation="area"))
SOURCE = "testsrc2=size=64x48:rate=25:duration=4"
X264 = ("-c:v", "libx264", "-g", "25", "-pix_fmt", "yuv420p")


@pytest.fixture
def encode(tools: Tools, tmp_path: Path) -> Callable[..., Path]:
    def run(name: str, *arguments: str) -> Path:
        subprocess.run([tools.ffmpeg, "-loglevel", "error", "-y", *arguments, tmp_path / name], check=True)
        return tmp_path / name

    return run


def report(videos: VideoFiles, file: Path) -> DecodeReport:
    facts = videos.probe(file)
    decoding = videos.decode(file, 4.0, [TINY], facts.duration_s, stream_index=facts.stream_index)
    assert list(decoding)
    assert decoding.report
    return decoding.report


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.avi", "x.ts", "x.264"])
def test_a_whole_file_is_not_damaged_and_one_cut_in_half_is(
    name: str, encode: Callable[..., Path], videos: VideoFiles, tmp_path: Path
) -> None:
    whole = encode(name, "-f", "lavfi", "-i", SOURCE, *X264, "-movflags", "faststart")
    cut = tmp_path / f"cut-{name}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])

    good = report(videos, whole)

    assert (good.is_damaged, good.frames_expected, good.frames_decoded) == (False, 100, 100)
    if name != "x.264":  # it says nowhere how long it is
        bad = report(videos, cut)
        assert bad.is_damaged and bad.frames_expected is None
        assert ends_early(cut) and not ends_early(whole)


CODECS = {
    "x.mp4": (*X264, "-bf", "3"),
    "x.avi": ("-c:v", "mpeg4", "-bf", "2", "-q:v", "3"),
    "x.mkv": ("-c:v", "libx265", "-x265-params", "log-level=none"),
    "x.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"),
}


Seen = Callable[[Path, int], tuple[list[float], bytes, DecodeReport | None]]


@pytest.fixture
def threads_used(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Decoder threads of each ffmpeg that was started."""
    used: list[int] = []

    def noted(*arguments: Any, **options: Any) -> list[str]:
        used.append(options["threads"])
        return decode_command(*arguments, **options)

    monkeypatch.setattr("vidpipe.adapters.media.video_files.decode_command", noted)
    return used


@pytest.fixture
def seen(videos: VideoFiles) -> Seen:
    """Times, pixels and report of a file, decoded with so many threads."""

    def run(file: Path, threads: int) -> tuple[list[float], bytes, DecodeReport | None]:
        decoding = videos.decode(file, 4.0, [TINY], 4.0, default_flow(4.0), threads=threads)
        times, frames = zip(*decoding, strict=True)
        assert decoding.report
        said = replace(decoding.report, last_line="")  # of two threads, either may have the last word
        return list(times), b"".join(frame.tobytes() for frame in frames), said

    return run


@pytest.mark.parametrize("name", CODECS)
def test_decoder_threads_change_no_bit_of_a_whole_video(
    name: str, encode: Callable[..., Path], seen: Seen, threads_used: list[int]
) -> None:
    whole = encode(name, "-f", "lavfi", "-i", SOURCE, *CODECS[name])
    assert seen(whole, 3) == seen(whole, 1) and threads_used == [3, 1]


def test_a_damaged_video_is_decoded_by_one_thread_and_its_frames_come_once(
    encode: Callable[..., Path], seen: Seen, threads_used: list[int]
) -> None:
    """Of MPEG-4. What ffmpeg makes of damaged H.264 is another picture every time, with one thread, too."""
    file = encode("x.avi", "-f", "lavfi", "-i", SOURCE, *CODECS["x.avi"])
    content = bytearray(file.read_bytes())
    for at in range(len(content) // 3, 2 * len(content) // 3, 97):  # far from head and index
        content[at] ^= 0x55
    file.write_bytes(content)

    threaded, alone = seen(file, 3), seen(file, 1)

    assert threaded == alone and threads_used == [3, 1, 1]
    assert alone[2] and alone[2].decode_errors


def test_bytes_that_a_camera_leaves_behind_the_last_box_cut_nothing_off(encode: Callable[..., Path]) -> None:
    file = encode("x.mp4", "-f", "lavfi", "-i", SOURCE, *X264)
    file.write_bytes(file.read_bytes() + b"MODEL: X3 8db42d694ccc418790edff439fe026bf")

    assert not ends_early(file)


PAL = ("-s", "720x576", "-pix_fmt", "yuv420p", "-c:v", "dvvideo")


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("x.ts", X264),
        ("x.m2ts", X264),
        ("x.flv", ("-c:v", "flv1")),
        ("x.ogv", ("-c:v", "libtheora")),
        ("x.gif", ()),
        ("x.apng", ("-f", "apng")),
        ("x.webp", ("-c:v", "libwebp_anim", "-f", "webp")),
        ("x.ivf", ("-c:v", "libvpx")),
        ("x.dv", PAL),
        ("x.rm", ("-c:v", "rv10", "-s", "176x144")),
        ("x.mxf", ("-c:v", "mpeg2video")),
        ("x.wmv", ("-c:v", "wmv2")),
        ("x.vob", ("-c:v", "mpeg2video")),
        ("x.nut", ("-c:v", "ffv1")),
    ],
)
def test_of_every_container_that_is_cut_off_something_tells(
    name: str, codec: tuple[str, ...], encode: Callable[..., Path], videos: VideoFiles, tmp_path: Path
) -> None:
    whole = encode(name, "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=1", *codec)
    cut = tmp_path / f"cut-{name}"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.7)])

    good, bad = report(videos, whole), report(videos, cut)

    assert not good.is_damaged and good.frames_expected == good.frames_decoded
    assert bad.is_damaged and 0 < certain(bad.frames_decoded) < certain(good.frames_decoded)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("x.ogv", ("-c:v", "libtheora")),
        ("x.webm", ("-c:v", "libvpx")),
        ("x.avi", ("-c:v", "mjpeg")),
        ("x.avi", ("-c:v", "huffyuv")),
        ("x.wmv", ("-c:v", "wmv2")),
        ("x.mkv", ("-c:v", "ffv1")),
        ("x.gif", ()),
    ],
)
def test_a_hole_in_a_container_is_told_and_zeros_behind_its_end_are_none(
    name: str, codec: tuple[str, ...], encode: Callable[..., Path], videos: VideoFiles
) -> None:
    file = encode(name, "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=3", *codec)
    whole = file.read_bytes()
    if name != "x.ogv":  # ffmpeg takes a page that is none for an error
        file.write_bytes(whole + bytes(3000))
        assert not report(videos, file).is_damaged
    begin, length = int(len(whole) * 0.45), len(whole) // 20
    file.write_bytes(whole[:begin] + bytes(length) + whole[begin + length :])
    assert report(videos, file).is_damaged


@pytest.mark.parametrize(("name", "codec"), [("x.mkv", "ffv1"), ("x.avi", "mjpeg")])
def test_a_frame_that_its_decoder_knows_to_be_torn_is_damage(
    name: str, codec: str, encode: Callable[..., Path], videos: VideoFiles
) -> None:
    file = encode(name, "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=1", "-c:v", codec)
    held = bytearray(file.read_bytes())
    for at in range(len(held) // 3, len(held) * 2 // 3, 997):
        held[at] ^= 0x55
    file.write_bytes(held)
    found = report(videos, file)
    assert found.is_damaged and found.frames_decoded == 25


def test_a_live_recording_in_a_file_that_was_laid_out_beforehand_is_whole(
    encode: Callable[..., Path], videos: VideoFiles
) -> None:
    source = ("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=1")
    file = encode("x.mkv", *source, *X264, "-f", "matroska", "-live", "1")
    whole = file.read_bytes()
    file.write_bytes(whole + bytes(100_000))
    found = report(videos, file)
    assert not found.is_damaged and found.frames_decoded == 25
    file.write_bytes(whole + bytes(100_000) + whole[-2000:])
    assert report(videos, file).is_damaged


def test_a_jpeg_that_ends_in_the_middle_ends_its_stream_early(
    encode: Callable[..., Path], videos: VideoFiles
) -> None:
    file = encode("x.mjpeg", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=1", "-c:v", "mjpeg")
    assert not report(videos, file).is_damaged
    file.write_bytes(file.read_bytes()[:-1500])
    assert report(videos, file).is_damaged


@pytest.mark.parametrize(
    "pix_fmt",
    [
        "yuv420p",
        "yuvj420p",
        "yuv411p",
        "yuv422p10le",
        "yuv444p",
        "yuva444p",
        "yuv420p16le",
        "gray",
        "gray16le",
    ],
)  # fmt: skip
def test_a_cut_frame_of_an_uncompressed_video_is_told(
    pix_fmt: str, encode: Callable[..., Path], videos: VideoFiles
) -> None:
    source = "testsrc2=size=66x50:rate=25:duration=0.4"
    file = encode("x.y4m", "-f", "lavfi", "-i", source, "-pix_fmt", pix_fmt, "-strict", "-1")
    assert not report(videos, file).is_damaged
    file.write_bytes(file.read_bytes()[:-1000])
    assert report(videos, file).is_damaged


def test_a_hole_in_a_transport_stream_is_damage_and_a_splice_is_none(
    encode: Callable[..., Path], videos: VideoFiles, tmp_path: Path
) -> None:
    ultrafast = (*X264, "-preset", "ultrafast")
    content = encode("x.ts", "-f", "lavfi", "-i", SOURCE, *ultrafast).read_bytes()
    tail = encode("y.ts", "-f", "lavfi", "-i", SOURCE, *ultrafast, "-output_ts_offset", "4").read_bytes()
    third = len(content) // 188 // 3 * 188
    holed, spliced = tmp_path / "holed.ts", tmp_path / "spliced.ts"
    holed.write_bytes(content[:third] + content[third + 188 * 30 :])
    spliced.write_bytes(content + tail)

    bad, good = report(videos, holed), report(videos, spliced)

    assert bad.is_damaged and certain(bad.frames_decoded) < 99
    assert bad.frames_expected == 100
    assert (good.is_damaged, good.frames_expected, good.frames_decoded) == (False, 200, 200)


def test_damage_is_heard_where_another_threads_line_comes_in_between() -> None:
    shown = "[showinfo@frames @ 0x7f] [info] n:   3 pts:    120 pts_time:0.12    duration:     40 type:P "
    colours = "[showinfo@frames @ 0x7f] [info] color_range:unknown color_space:unknown"
    log = FfmpegLog()

    log.line(shown + "corrupt decoded frame")
    log.line(colours + "Truncating packet of size 1086 to 805")

    assert log.times_s.get_nowait() == 0.12
    assert (log.torn_frames, log.is_cut) == (1, True)


TORN = "[ffv1 @ 0x7f] [error] slice CRC mismatch 1A2B3C4D!"
"""FFV1 writes the time of its message later, so that another thread's line may follow in the same one."""


def shown(name: str, n: int, time_s: float) -> str:
    begin = f"[showinfo@{name} @ 0x7f] [info] " if name else TORN
    return f"{begin}n:{n:4d} pts:{int(time_s * 1000):7d} pts_time:{time_s:<7} duration:     40 fmt:yuv420p"


@pytest.mark.parametrize("lost", [*((n,) for n in range(7)), (1, 2), (3, 4, 5), tuple(range(7))])
@pytest.mark.parametrize("is_same_rate", [False, True])
def test_a_frames_time_is_heard_behind_a_message_that_has_only_begun(
    lost: tuple[int, ...], is_same_rate: bool
) -> None:
    dense = [("frames", 0, 0.0), ("flow", 0, 0.0), ("flow", 1, 0.12), ("flow", 2, 0.24), ("frames", 1, 0.28),
             ("flow", 3, 0.36), ("flow", 4, 0.48), ("frames", 2, 0.56), ("flow", 5, 0.56)]  # fmt: skip
    paired = [(name, n, n * 0.28) for n in range(5) for name in ("frames", "flow")]
    lines = paired if is_same_rate else dense
    log = FfmpegLog()

    for at, (name, n, time_s) in enumerate(lines):
        log.line(shown("" if at in lost else name, n, time_s))
        if at in lost:
            log.line(f"[ffv1 @ 0x7f] [error]  at {time_s} seconds")

    times = [log.times_s.get_nowait() for _ in range(log.times_s.qsize())]
    flow_times = [log.flow_times_s.get_nowait() for _ in range(log.flow_times_s.qsize())]
    assert times == [time_s for name, _, time_s in lines if name == "frames"]
    assert flow_times == [time_s for name, _, time_s in lines if name == "flow"]
    assert log.torn_frames == len(lost)


def test_without_flow_every_time_is_a_sampled_frames() -> None:
    log = FfmpegLog()

    for n in range(5):
        log.line(shown("frames" if n % 2 else "", n, n * 0.25))

    assert [log.times_s.get_nowait() for _ in range(5)] == [0, 0.25, 0.5, 0.75, 1]
    assert log.flow_times_s.empty()


def test_a_lossless_cut_hides_packets_and_is_whole(encode: Callable[..., Path], videos: VideoFiles) -> None:
    whole = encode("whole.mp4", "-f", "lavfi", "-i", SOURCE, *X264)
    trimmed = encode("trimmed.mp4", "-ss", "1.5", "-i", str(whole), "-t", "1.2", "-c", "copy")

    cut = report(videos, trimmed)

    assert not cut.is_damaged
    assert cut.frames_expected == certain(cut.frames_decoded) < 100


def test_an_interlaced_stream_has_no_loss(encode: Callable[..., Path], videos: VideoFiles) -> None:
    fields = encode("fields.ts", "-f", "lavfi", "-i", SOURCE, *X264, "-flags", "+ildct", "-x264opts", "tff=1")

    assert not report(videos, fields).is_damaged


def test_the_recording_is_taken_whatever_stands_before_it(
    encode: Callable[..., Path], videos: VideoFiles
) -> None:
    both = encode(
        "both.mkv", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=1:duration=1",
        "-f", "lavfi", "-i", SOURCE,
        "-map", "0:v", "-map", "1:v", *X264, "-disposition:v:0", "default", "-disposition:v:1", "0",
    )  # fmt: skip

    facts = videos.probe(both)

    assert (facts.stream_index, facts.stream_count, facts.width_px) == (1, 2, 64)
    assert report(videos, both).frames_decoded == 100


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\x89MCAP0\r\n", "MCAP"),
        (b"#ROSBAG V2.0\n", "ROS bag"),
        (b"II*\0", "TIFF"),
        (b"\xed\xfe\0\0N\0o\0r\0p\0i\0x\0", "Norpix"),
    ],
)
def test_another_container_that_holds_a_stream_is_named_with_the_next_step(
    head: bytes, name: str, encode: Callable[..., Path], videos: VideoFiles, tmp_path: Path
) -> None:
    stream = encode("x.264", "-f", "lavfi", "-i", SOURCE, *X264)
    file = tmp_path / "log.bin"
    file.write_bytes(head + b"\x01" * 64 + stream.read_bytes())

    with pytest.raises(Forbidden, match=name) as caught:
        videos.probe(file)

    assert caught.value.next_step


@pytest.mark.parametrize("name", ["x.264", "x.m2v", "x.hevc"])
def test_a_raw_stream_is_believed_only_where_it_starts_the_file(
    name: str, encode: Callable[..., Path], videos: VideoFiles, tmp_path: Path
) -> None:
    codec = () if name == "x.264" else ("-c:v", "mpeg2video") if name == "x.m2v" else ("-c:v", "libx265")
    stream = encode(name, "-f", "lavfi", "-i", SOURCE, *codec)
    file = tmp_path / f"log-{name}"
    file.write_bytes(b"a log of a kind that nobody knows" + stream.read_bytes())

    assert videos.probe(stream).times_assumed
    with pytest.raises(Unreadable, match="does not start"):
        videos.probe(file)


def test_streams_in_parts_and_uncompressed_ones_are_read(
    encode: Callable[..., Path], videos: VideoFiles
) -> None:
    parts = encode("x.mjpg", "-f", "lavfi", "-i", SOURCE, "-f", "mpjpeg")
    plain = encode("x.y4m", "-f", "lavfi", "-i", SOURCE)

    assert (videos.probe(parts).times_assumed, videos.probe(plain).times_assumed) == (True, False)
    for file in (parts, plain):
        assert (report(videos, file).frames_decoded, report(videos, file).is_damaged) == (100, False)


def test_packets_before_the_first_key_frame_are_the_lead_and_discarded_ones_hidden() -> None:
    assert PacketFlags.parse(b"___\n_D_\n___\nK__,\n_D_\n") == PacketFlags(hidden=2, lead=2)


def test_gaps_behind_corrupt_packets_are_missing_frames_and_other_gaps_and_jumps_of_the_clock_are_not() -> (
    None
):
    times = (0.0, 0.04, 0.08, 0.2, 0.24, 0.28, 0.4, 0.44, 9000.0)
    flags = ("K__", "__C", "___", "___", "___", "___", "K__", "__C", "___")
    lines = "\n".join(f"{time_s:.6f},{flag}," for time_s, flag in zip(times, flags, strict=True))

    assert PacketFlags.parse(f"N/A,___\n{lines}\n".encode()) == PacketFlags(hidden=0, lead=1, missing=2)


def test_a_rate_is_that_of_frames(encode: Callable[..., Path], videos: VideoFiles) -> None:
    tape = videos.probe(encode("x.dv", "-f", "lavfi", "-i", "testsrc2=rate=25:duration=0.2", *PAL))
    sound = ("-f", "lavfi", "-i", "sine=duration=4", "-shortest")
    disc = videos.probe(encode("x.mpg", "-f", "lavfi", "-i", SOURCE, *sound, "-c:v", "mpeg1video"))
    one = encode("one.wmv", "-f", "lavfi", "-i", SOURCE, "-frames:v", "1")

    assert (tape.source_fps, tape.is_vfr) == (25.0, False)
    assert (disc.source_fps, disc.is_vfr) == (25.0, False), "ffprobe counts its fields"
    assert videos.probe(one).source_fps is None, "the clock of ASF has milliseconds"


def test_a_flip_is_a_flip_and_not_half_a_turn(encode: Callable[..., Path], videos: VideoFiles) -> None:
    clip = encode("clip.mp4", "-f", "lavfi", "-i", SOURCE, *X264)
    mirrored = encode("mirrored.mp4", "-display_hflip", "-i", str(clip), "-c", "copy")
    wide = encode("wide.mp4", "-f", "lavfi", "-i", SOURCE, "-vf", "setsar=24/11", *X264)

    flipped, stretched = videos.probe(mirrored), videos.probe(wide)

    assert (flipped.mirrored, flipped.rotation) == (True, 0)
    assert (stretched.sample_aspect_ratio, stretched.display_width_px, stretched.width_px) == (
        "24:11",
        140,
        64,
    )
