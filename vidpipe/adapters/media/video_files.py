"""Probing and frame decoding of video files by ffmpeg, with presentation timestamps.

Every call is a subprocess in its own process group, with limits on memory, CPU time and waiting time; both
pipes are drained.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np
import numpy.typing as npt

from vidpipe.adapters.media.binaries import Tools
from vidpipe.adapters.media.colour import PLAIN, Look, Tags, look_of
from vidpipe.adapters.media.commands import (
    decode_command,
    packet_flags_command,
    picture_command,
    pixels_command,
    probe_command,
    stream_specifier,
)
from vidpipe.adapters.media.damage import PacketFlags, assess
from vidpipe.adapters.media.deep_grey import Levels, dtype_of, levels_of
from vidpipe.adapters.media.log import FfmpegLog, decode_error, refusal
from vidpipe.adapters.media.optical_flow_reader import FlowReader
from vidpipe.adapters.media.probe import has_rivals, media_facts
from vidpipe.adapters.media.process import LimitedProcess
from vidpipe.adapters.media.ser import is_ser, ser_rate
from vidpipe.adapters.media.signatures import (
    forced_demuxer,
    read_head,
    refuse_foreign,
    refuse_torn_stream,
)
from vidpipe.adapters.media.webp import is_animated, webp_facts
from vidpipe.errors import Forbidden, NoFrames, Unreadable, Vanished, VideoError
from vidpipe.records.features import DecodeReport, FlowSpec, View
from vidpipe.records.videos import Floats, MediaFacts, Pixels
from vidpipe.vision.sampling import Sampler

PROBE_WAIT_S = 20.0
COLOURS_WAIT_S = 5.0
"""They stand in the line after that with the frame's time."""
PICTURE_WAIT_S = 10.0
CHUNK_BYTES = 1 << 20


class _FiltersRebuilt(Exception):
    """ffmpeg rebuilt its filter graph because the frame size changed, and lost its sampling state."""


class _OtherColours(Exception):
    """The stream's colour tags need another conversion than the one it was decoded with."""

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.look = look


@dataclass(frozen=True, slots=True)
class Pass:
    """Parameters of one ffmpeg run over a video."""

    start_s: float | None = None
    """When the first frame shows; None: as ffmpeg finds it."""
    look: Look = PLAIN
    levels: Levels | None = None
    """Black and white of a deep grey picture."""


class Decoding:
    """The sampled frames of one video, in order: iterate once, then read `report`.

    Yields `(time_s, pixels)`, pixels uint8 of shape (V * size, size, 3), RGB: the V views of the frame one
    below the other. `flow` is what the frame yielded last has of optical flow, None where none is wanted.

    Raises (while iterating):
        VideoError: The video is bad; which subclass says how.
    """

    def __init__(
        self,
        command: Callable[[int, Pass], list[str]],
        file: Path,
        shape: tuple[int, int, int],
        wait_s: float,
        flow: FlowSpec | None,
        packet_flags: Callable[[bool], PacketFlags],
        sample_fps: float,
        stream_index: int | None,
        *,
        levels: Callable[[str], Levels] | None,
    ) -> None:
        """Prepare; ffmpeg is started by iteration.

        Args:
            command: Builds ffmpeg's command from the descriptor for grey pictures and the pass.
            file: What it decodes.
            shape: Of one frame.
            wait_s: How long the decoder may keep us waiting.
            flow: How optical flow is computed.
            packet_flags: Flags of the stream's packets, with times on request; asked for only where frames
                are missing.
            sample_fps: What the command samples by.
            stream_index: Which stream it reads; None: the first.
            levels: Measures a deep grey video, in this format; None: pixels are mapped as ffmpeg does it.
        """
        self.report: DecodeReport | None = None
        self.flow: Floats | None = None
        self._command, self._file, self._shape, self._wait_s = command, file, shape, wait_s
        self._flow_spec = flow
        self._packet_flags = packet_flags
        self._sample_fps, self._stream_index = sample_fps, stream_index
        self._levels = levels

    def __iter__(self) -> Generator[tuple[float, Pixels], None, None]:
        """Yield the sampled frames; decode again from the start where sampling or colours were wrong.

        Where ffmpeg loses its sampling state, the first frame's time says which frames are to come.
        """
        now, first_s, given = Pass(), 0.0, 0
        while True:
            try:
                with closing(self._frames(now)) as frames:
                    for time_s, pixels in islice(frames, given, None):
                        first_s = time_s if given == 0 else first_s
                        yield time_s, pixels
                        given += 1
                return
            except _FiltersRebuilt:
                now = replace(now, start_s=first_s)
            except _OtherColours as found:
                levels = self._levels(found.look.deep) if self._levels and found.look.deep else None
                now = replace(now, look=found.look, levels=levels)

    def _frames(self, now: Pass) -> Generator[tuple[float, Pixels], None, None]:
        log, start_s = FfmpegLog(), now.start_s
        sampler = Sampler(self._sample_fps, start_s) if start_s is not None else None
        with ExitStack() as ends:
            flows = FlowReader(self._flow_spec, log, start_s) if self._flow_spec else None
            pipes = (flows.write_end,) if flows else ()
            command = self._command(flows.write_end if flows else -1, now)
            process = LimitedProcess(command, self._wait_s, log.line, pass_fds=pipes)
            if flows:
                ends.enter_context(flows.reading())
            ends.callback(process.kill)
            frames = 0
            while (pixels := self._next_frame(process)) is not None:
                time_s = self._time_of_next(log, may_be_rebuilt=start_s is not None)
                if frames == 0 and (look := self._look(log)) != now.look:
                    raise _OtherColours(look)
                if sampler and not sampler.takes(time_s):
                    continue
                self.flow = flows.until(time_s) if flows else None
                yield time_s, pixels
                frames += 1
            code = process.finish()
        if frames == 0:
            raise decode_error(self._file, log, code)
        misread = self._misread(log, was_rebuilt=start_s is not None)
        self.report = self._reported(log, log.frames_decoded or frames, misread)

    def _look(self, log: FfmpegLog) -> Look:
        """Colour conversion by the tags of the stream and of its first frame, as ffmpeg logs them."""
        index = log.first_stream if self._stream_index is None else self._stream_index
        if self._levels is None or index is None or index not in log.streams:
            return PLAIN
        tags = Tags.parse(log.streams[index])
        log.colours_shown.wait(COLOURS_WAIT_S)
        return look_of(replace(tags, pix_fmt=log.pix_fmt or tags.pix_fmt).seen_in(log.colours))

    def _reported(self, log: FfmpegLog, frames: int, misread: str) -> DecodeReport:
        stream = log.first_stream if self._stream_index is None else self._stream_index
        damage = assess(self._file, log, frames, log.corrupt_packets.get(stream or 0, 0), self._packet_flags)
        return DecodeReport(
            frames, log.decode_errors + log.torn_frames, log.last, damage.frames_expected, damage.is_damaged,
            misread=misread,
        )  # fmt: skip

    def _misread(self, log: FfmpegLog, *, was_rebuilt: bool) -> str:
        """The reason why reader 1 samples other frames of this video; empty where it does not."""
        if self._stream_index is not None and log.first_stream not in (None, self._stream_index):
            return f"decodes stream {log.first_stream}, but the main video is stream {self._stream_index}"
        return "restarts sampling where the frame size changes" if was_rebuilt else ""

    def _time_of_next(self, log: FfmpegLog, *, may_be_rebuilt: bool) -> float:
        """Time of the next frame, from its log line, which comes before or just after its pixels."""
        try:
            while (time_s := log.times_s.get(timeout=PROBE_WAIT_S)) is None:
                if not may_be_rebuilt:
                    raise _FiltersRebuilt
        except Empty:
            raise Unreadable(f"{self._file.name}: ffmpeg gave a frame without a time. {log.said}") from None
        return time_s

    def _next_frame(self, process: LimitedProcess) -> Pixels | None:
        pixels: Pixels = np.empty(self._shape, np.uint8)
        filled = process.read_into(pixels.reshape(-1).data)
        return pixels if filled == pixels.nbytes else None


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
        """Read the metadata of the main video stream with ffprobe, without decoding a frame.

        Raises:
            VideoError: Gone, unreadable, without a video stream, forbidden, or too slow.
        """
        _refuse_control_characters(file)
        if not os.access(file, os.R_OK):
            raise Vanished(f"{file} is gone or may not be read.")
        head = read_head(file)
        refuse_foreign(file, head)
        if is_animated(head):
            return webp_facts(file, head)
        demuxer = forced_demuxer(file, head)
        rate = ser_rate(file, head)
        answer = self._asked(file, probe_command(self.tools.ffprobe, file, demuxer, rate=rate), PROBE_WAIT_S)
        if has_rivals(answer):
            counting = probe_command(self.tools.ffprobe, file, demuxer, count=True)
            answer = self._asked(file, counting, PROBE_WAIT_S)
        facts = media_facts(file, answer, times_assumed=is_ser(head) and rate is None)
        refuse_torn_stream(file, head, facts.container)
        return facts

    def _asked(self, file: Path, command: list[str], wait_s: float) -> bytes:
        """Run ffprobe and return its stdout."""
        log = FfmpegLog()
        process = LimitedProcess(command, wait_s, log.line, brief=True)
        try:
            text = process.read_all()
            code = process.finish()
        finally:
            process.kill()
        if code != 0:
            raise refusal(file, log)
        return text

    def decode(
        self,
        file: Path,
        sample_fps: float,
        views: Sequence[View],
        duration_s: float | None,
        flow: FlowSpec | None = None,
        stream_index: int | None = None,
    ) -> Decoding:
        """Prepare a `Decoding`, whose iteration runs ffmpeg on `file`, once for all views.

        Args:
            file: A local file.
            sample_fps: One frame per 1/sample_fps seconds.
            views: One or more, of one size.
            duration_s: Where known, it lengthens the wait for the decoder.
            flow: Optical flow, from the same decode.
            stream_index: The stream to read; None: the first that is no attached picture.
        """
        _refuse_control_characters(file)
        wait_s = self._min_wait_s + self._wait_s_per_s * (duration_s or 0.0)
        demuxer = forced_demuxer(file, read_head(file))
        size_px = views[0].transform.size_px

        def command(flow_pipe: int, now: Pass) -> list[str]:
            return decode_command(
                self.tools.ffmpeg, file, sample_fps, views, flow=flow, flow_pipe=flow_pipe,
                stream_index=stream_index, demuxer=demuxer, start_s=now.start_s, look=now.look,
                levels=now.levels,
            )  # fmt: skip

        def packet_flags(times: bool) -> PacketFlags:
            stream = stream_specifier(stream_index)
            asking = packet_flags_command(self.tools.ffprobe, file, stream, demuxer, times=times)
            try:
                return PacketFlags.parse(self._asked(file, asking, wait_s))
            except VideoError:  # decoded by ffmpeg, unknown to an older ffprobe: nothing says what is hidden
                return PacketFlags()

        def measured(deep: str) -> Levels:
            pixels = pixels_command(self.tools.ffmpeg, file, sample_fps, deep, stream_index, demuxer)
            return levels_of(_chunks(pixels, wait_s, dtype_of(deep)))

        return Decoding(
            command, file, (len(views) * size_px, size_px, 3), wait_s, flow,
            packet_flags, sample_fps, stream_index,
            levels=measured if any(view.reader > 1 for view in views) else None,
        )  # fmt: skip

    def thumbnail(self, file: Path, duration_s: float | None) -> bytes:
        """Thumbnail of the middle frame as a small JPEG; of the first where the duration is unknown or wrong.

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
        """Picture of the frame at this time as a small JPEG; empty where ffmpeg gives none."""
        process = LimitedProcess(
            picture_command(self.tools.ffmpeg, file, at_s, forced_demuxer(file, read_head(file))),
            PICTURE_WAIT_S,
            lambda _: None,
        )
        try:
            picture = process.read_all()
            process.finish()
        finally:
            process.kill()
        return picture


def _chunks(command: list[str], wait_s: float, dtype: npt.DTypeLike) -> Iterator[npt.NDArray[Any]]:
    """Yield a command's stdout as arrays of numbers."""
    process = LimitedProcess(command, wait_s, lambda _: None)
    try:
        buffer = np.empty(CHUNK_BYTES, np.uint8)
        while filled := process.read_into(buffer.data):
            yield buffer[: filled - filled % 4].view(dtype)
    finally:
        process.kill()


def _refuse_control_characters(file: Path) -> None:
    """Refuse file names with control characters, which could forge lines of ffmpeg's log."""
    if any(ord(character) < 32 for character in str(file)):
        raise Forbidden(f"{str(file)!r} has a control character in its name.", next_step="rename it.")
