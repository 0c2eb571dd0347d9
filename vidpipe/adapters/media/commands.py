"""Command lines of ffmpeg and ffprobe for probing, decoding and stills.

Demuxers and protocols are restricted to real containers on the local disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ffmpeg

from vidpipe.adapters.media.colour import PLAIN, Look, scaled
from vidpipe.adapters.media.deep_grey import Levels, stretched
from vidpipe.adapters.media.ser import ser_options
from vidpipe.adapters.media.signatures import forced_codec, read_head
from vidpipe.records.features import FlowSpec, View
from vidpipe.vision.sampling import select_expression

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,mjpeg,mpjpeg,yuv4mpegpipe,"
    "ivf,flv,asf,ogg,mxf,rm,dv,wtv,nut,cine,ser,apng,webp_anim,gif,swf,wav,mp3,aac,flac"
)
"""Demuxers that read one local file and nothing else: no playlist, no concat script, no image sequence."""
MAX_PIXELS = 8192 * 8192
"""Source: `max_pixels` in https://ffmpeg.org/ffmpeg-codecs.html; 8K video has 33 million."""
SHOWN_FRAMES, SHOWN_FLOW = "showinfo@frames", "showinfo@flow"
"""Filters that log the times of what passes, by the names that stand in the log.
Source: https://ffmpeg.org/ffmpeg-filters.html#Filtergraph-syntax-1, `filter_name@id`."""


@dataclass(frozen=True, slots=True)
class Input:
    """Input of an ffmpeg command: a URL and its options."""

    url: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Path, demuxer: str | None = None) -> Input:
        """A local file; `demuxer` where ffmpeg would choose a wrong one."""
        return cls(f"file:{file}", _input_options(file, demuxer))


EVERY_FPS = 1000.0
"""No camera's frames are closer in time, but for slow motion, of which one a millisecond is enough."""
Stretch = Callable[[Any], Any]
"""Of the frames of an ffmpeg-python stream of deep grey pictures."""
COUNTED_S = 60
"""Seconds from the start in which packets are counted, to find the busiest of several streams."""


def probe_command(
    binary: str, file: Path, demuxer: str | None = None, *, count: bool = False, rate: float | None = None
) -> list[str]:
    """ffprobe command for container metadata as JSON; with `count`, with packets at the start of each stream.

    A `rate` is that of a SER, which ffprobe does not read.

    Source: https://ffmpeg.org/ffmpeg-formats.html and -protocols.html, the two whitelists.
    """
    counted = ["-count_packets", "-read_intervals", f"%+{COUNTED_S}"] if count else []
    rated = ["-framerate", f"{rate:.6f}"] if rate else []
    return [
        *_probing(binary, demuxer), *rated, *counted, "-print_format", "json", "-show_format",
        "-show_streams", f"file:{file}",
    ]  # fmt: skip


def packet_flags_command(
    binary: str, file: Path, stream: str, demuxer: str | None, *, times: bool = False
) -> list[str]:
    """ffprobe command for one stream's packet flags (K key, D discard, C corrupt), on request with times."""
    return [
        *_probing(binary, demuxer), "-select_streams", stream, "-show_entries",
        "packet=dts_time,flags" if times else "packet=flags",
        "-print_format", "csv=p=0", f"file:{file}",
    ]  # fmt: skip


def packet_times_command(binary: str, file: Path, stream: str, demuxer: str | None) -> list[str]:
    """ffprobe command for presentation times, durations and flags of one stream's packets, a line each."""
    return [
        *_probing(binary, demuxer), "-select_streams", stream, "-show_entries",
        "packet=pts_time,duration_time,flags", "-print_format", "csv=p=0", f"file:{file}",
    ]  # fmt: skip


def _probing(binary: str, demuxer: str | None) -> list[str]:
    forced = ["-f", demuxer] if demuxer else []
    return [
        binary, "-loglevel", "level+error", "-protocol_whitelist", "file,pipe", "-format_whitelist",
        CONTAINERS, *forced,
    ]  # fmt: skip


def stream_specifier(stream_index: int | None) -> str:
    """ffmpeg stream specifier; without an index, the first video stream that is no attached picture."""
    return "V:0" if stream_index is None else str(stream_index)


def decode_command(
    binary: str,
    source: Input,
    sample_fps: float,
    views: Sequence[View],
    *,
    flow: FlowSpec | None = None,
    flow_pipe: int = -1,
    stream_index: int | None = None,
    start_s: float | None = None,
    look: Look = PLAIN,
    levels: Levels | None = None,
    key_frames_only: bool = False,
    threads: int = 1,
) -> list[str]:
    """ffmpeg command that samples frames, logs their times, and crops and resizes them to RGB on stdout.

    `-fps_mode passthrough` keeps ffmpeg from inventing or dropping frames to even out their spacing.

    Args:
        binary: ffmpeg.
        source: What to read.
        sample_fps: One frame per 1/sample_fps seconds.
        views: One or more: they go to stdout one below the other, to the right black up to the widest.
        flow: Grey pictures for optical flow, from the same decode.
        flow_pipe: The descriptor that these go to.
        stream_index: The stream to read; None: the first that is no attached picture.
        start_s: When the first frame shows, where that is known.
        look: How reader 2 maps the stream's pixels to RGB.
        levels: Black and white of a deep grey picture.
        key_frames_only: Decode no other frame.
        threads: Of the decoder.
    """
    stream = _opened(source, stream_index, key_frames_only=key_frames_only, threads=threads)
    deep = (lambda frames: stretched(frames, look.deep or "", levels)) if look.deep and levels else None
    selected = select_expression(sample_fps, start_s)
    if flow is None:
        output = _output(_frames(stream, selected, views, look, deep), "pipe:1", "rgb24")
    else:
        both = stream.filter_multi_output("split", 2)
        output = ffmpeg.merge_outputs(
            _output(_frames(both.stream(0), selected, views, look, deep), "pipe:1", "rgb24"),
            _output(_greys(both.stream(1), flow, start_s, deep), f"pipe:{flow_pipe}", "gray"),
        )
    return _verbosely(output, binary)


def every_frame_command(
    binary: str,
    source: Input,
    size_px: tuple[int, int],
    *,
    stream_index: int | None,
    start_s: float | None,
    threads: int,
) -> list[str]:
    """ffmpeg command for every frame in RGB of this width and height on stdout, their times logged."""
    stream = _opened(source, stream_index, key_frames_only=False, threads=threads)
    shown = stream.filter("select", select_expression(EVERY_FPS, start_s)).filter(SHOWN_FRAMES, checksum=0)
    return _verbosely(_output(scaled(shown, size_px, "bicubic", PLAIN), "pipe:1", "rgb24"), binary)


def pixels_command(
    binary: str,
    source: Input,
    sample_fps: float,
    deep: str,
    stream_index: int | None,
    *,
    key_frames_only: bool,
) -> list[str]:
    """ffmpeg command that writes the sampled frames unscaled in a deep grey format to stdout."""
    opened = _opened(source, stream_index, key_frames_only=key_frames_only)
    stream = opened.filter("select", select_expression(sample_fps))
    return _verbosely(_output(stream, "pipe:1", deep), binary)


def _opened(source: Input, stream_index: int | None, *, key_frames_only: bool, threads: int = 1) -> Any:
    """Source: `skip_frame` and `threads` in https://ffmpeg.org/ffmpeg-codecs.html."""
    skip = {"skip_frame": "nokey"} if key_frames_only else {}
    return ffmpeg.input(
        source.url, protocol_whitelist="file,pipe", format_whitelist=CONTAINERS,
        threads=threads, max_pixels=MAX_PIXELS, **skip, **source.options,
    )[stream_specifier(stream_index)]  # fmt: skip


def _verbosely(output: Any, binary: str) -> list[str]:
    arguments: list[str] = output.global_args(
        "-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+verbose", "-filter_threads", "1"
    ).compile(cmd=binary)
    return arguments


def _output(frames: Any, to: str, pix_fmt: str, **options: Any) -> Any:
    return frames.output(to, format="rawvideo", pix_fmt=pix_fmt, fps_mode="passthrough", **options)


def _frames(stream: Any, selected: str, views: Sequence[View], look: Look, deep: Stretch | None) -> Any:
    """Filter graph of the sampled frames, their views stacked vertically."""
    sampled = stream.filter("select", selected).filter(SHOWN_FRAMES, checksum=0)
    if len(views) == 1:
        return _view(sampled, views[0], look, deep)
    copies = sampled.filter_multi_output("split", len(views))
    widest = max(view.transform.size_px for view in views)
    squares = [
        _widened(_view(copies.stream(n), view, look, deep), view.transform.size_px, widest)
        for n, view in enumerate(views)
    ]
    return ffmpeg.filter(squares, "vstack", inputs=len(views))


def _widened(square: Any, size_px: int, width_px: int) -> Any:
    """In RGB already, so that no chroma sample is shared with the black."""
    return (
        square if size_px == width_px else square.filter("format", "rgb24").filter("pad", width_px, size_px)
    )


def _greys(stream: Any, flow: FlowSpec, start_s: float | None, deep: Stretch | None) -> Any:
    """Filter graph of small grey pictures at the flow's rate, downscaled by area averaging."""
    selected = select_expression(flow.fps, start_s)
    sampled = stream.filter("select", selected).filter(SHOWN_FLOW, checksum=0)
    seen = deep(sampled) if deep else sampled
    return seen.filter("scale", flow.width_px, flow.height_px, flags="area")


def _input_options(file: Path, demuxer: str | None) -> dict[str, str]:
    """ffmpeg input options for demuxer, codec, frame rate and byte order that ffmpeg does not detect."""
    head = read_head(file)
    forced = {"f": demuxer} if demuxer else {}
    return {**forced, **forced_codec(head), **ser_options(file, head)}


def still_command(
    binary: str,
    source: Input,
    size_px: tuple[int, int],
    *,
    skip_s: float,
    stream_index: int,
    look: Look,
    levels: Levels | None,
) -> list[str]:
    """ffmpeg command for one frame in RGB of this width and height on stdout, its time logged."""
    frame = _one_frame(source, skip_s, stream_index).filter(SHOWN_FRAMES, checksum=0)
    seen = stretched(frame, look.deep, levels) if look.deep and levels else frame
    return _verbosely(_output(scaled(seen, size_px, "area", look), "pipe:1", "rgb24", vframes=1), binary)


def still_pixels_command(
    binary: str, source: Input, deep: str, skip_s: float, stream_index: int
) -> list[str]:
    """ffmpeg command that writes the same frame unscaled in a deep grey format to stdout."""
    frame = _one_frame(source, skip_s, stream_index)
    return _verbosely(_output(frame, "pipe:1", deep, vframes=1), binary)


def _one_frame(source: Input, skip_s: float, stream_index: int) -> Any:
    """Frames of a stream from `skip_s` after the first one on."""
    stream = _opened(source, stream_index, key_frames_only=False)
    return stream.filter("select", f"gte(t-start_t,{skip_s:.3f})") if skip_s else stream


def _view(frames: Any, view: View, look: Look, deep: Stretch | None) -> Any:
    """Filter graph of one view: crop, resize to a square, and for reader 2 aspect ratio and colours."""
    transform = view.transform
    if deep and view.reader > 1:
        frames = deep(frames)
    if transform.crop_share is not None:
        frames = frames.filter("crop", *_crop(transform.crop_share, view.reader))
    seen = look if view.reader > 1 else PLAIN
    return scaled(frames, (transform.size_px, transform.size_px), transform.interpolation, seen)


def _crop(share: float, reader: int) -> tuple[str, str]:
    """Width and height in stored pixels of the centre square crop.

    Source: https://ffmpeg.org/ffmpeg-filters.html#crop, `sar`: 1 where the video does not say it.
    """
    if reader == 1:
        side = f"max(1,floor(min(iw,ih)*{share}))"
        return side, side
    side = f"min(iw*sar,ih)*{share}"
    return f"max(1,floor({side}/sar))", f"max(1,floor({side}))"
