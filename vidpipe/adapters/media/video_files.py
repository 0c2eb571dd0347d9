"""Probing and frame decoding of video files by ffmpeg, with presentation timestamps.

Every call is a subprocess in its own process group, with limits on memory, CPU time and waiting time; both
pipes are drained.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from vidpipe.adapters.media.binaries import Tools
from vidpipe.adapters.media.commands import (
    EVERY_FPS,
    Input,
    decode_command,
    every_frame_command,
    packet_flags_command,
    pixels_command,
    probe_command,
    stream_specifier,
)
from vidpipe.adapters.media.damage import PacketFlags
from vidpipe.adapters.media.decoding import Decoding, Pass, PlainFile, Source
from vidpipe.adapters.media.deep_grey import Levels, measured
from vidpipe.adapters.media.dicom.files import DicomSource, dicom_facts, is_dicom
from vidpipe.adapters.media.dicom.files import build as dicom_build
from vidpipe.adapters.media.keyframes import key_times
from vidpipe.adapters.media.log import FfmpegLog, refusal
from vidpipe.adapters.media.probe import has_rivals, media_facts
from vidpipe.adapters.media.process import LimitedProcess
from vidpipe.adapters.media.ser import is_ser, ser_rate
from vidpipe.adapters.media.signatures import (
    forced_demuxer,
    read_head,
    refuse_foreign,
    refuse_torn_stream,
)
from vidpipe.adapters.media.stills import (
    STILL_PX,
    STILL_WAIT_S,
    STRIP_PX,
    frame_at,
    joined,
    jpeg,
    strip_times,
)
from vidpipe.adapters.media.webp import is_animated, webp_facts
from vidpipe.errors import Forbidden, NoFrames, Vanished, VideoError
from vidpipe.records.features import FlowSpec, KeyframeRule, View
from vidpipe.records.videos import MediaFacts, Pixels

PROBE_WAIT_S = 20.0


class VideoFiles:
    """Probes and decodes video files with one pair of binaries."""

    def __init__(
        self,
        tools: Tools,
        *,
        min_wait_s: float = 30.0,
        wait_s_per_s: float = 2.0,
        blur: Callable[[Pixels], Pixels] | None = None,
    ) -> None:
        """Prepare; `blur` is applied to every frame of a picture that people see."""
        self.tools, self._blur = tools, blur
        self._min_wait_s, self._wait_s_per_s = min_wait_s, wait_s_per_s

    @property
    def decoder(self) -> str:
        """Name of the decoder build, part of the numerics class."""
        return f"ffmpeg-{self.tools.version}{dicom_build()}"

    def probe(self, file: Path) -> MediaFacts:
        """Read the metadata of the main video stream with ffprobe, without decoding a frame.

        Raises:
            VideoError: Gone, unreadable, without a video stream, forbidden, or too slow.
        """
        _refuse_control_characters(file)
        if not os.access(file, os.R_OK):
            raise Vanished(f"{file} is gone or may not be read.")
        head = read_head(file)
        if is_dicom(head):
            return dicom_facts(file)
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
        keyframes: KeyframeRule | None = None,
        threads: int = 1,
        pixels: int = 0,
    ) -> Decoding:
        """Prepare a `Decoding`, whose iteration runs ffmpeg on `file`, once for all views.

        Args:
            file: A local file.
            sample_fps: One frame per 1/sample_fps seconds.
            views: One or more.
            duration_s: Where known, it lengthens the wait for the decoder.
            flow: Optical flow, from the same decode.
            stream_index: The stream to read; None: the first that is no attached picture.
            keyframes: Decode only key frames, where they are dense enough; DICOM has none to skip.
            threads: Of the decoder; more than one for a video that is decoded by itself.
            pixels: Of one frame, where known: how its colours are probably coded.
        """
        _refuse_control_characters(file)
        wait_s = self._min_wait_s + self._wait_s_per_s * (duration_s or 0.0)
        source = self._source(file, stream_index, wait_s)
        wait_s *= source.slower
        stream_index = stream_index if isinstance(source, PlainFile) else None
        sizes_px = [view.transform.size_px for view in views]

        def command(what: Input, flow_pipe: int, now: Pass) -> list[str]:
            return decode_command(
                self.tools.ffmpeg, what, sample_fps, views, flow=flow, flow_pipe=flow_pipe,
                stream_index=stream_index, start_s=now.start_s, look=now.look, levels=now.levels,
                key_frames_only=now.key_frames_only, threads=now.threads,
            )  # fmt: skip

        def levels(deep: str, now: Pass) -> Levels:
            with source.opened(FfmpegLog()) as (what, stdin):
                pixels = pixels_command(
                    self.tools.ffmpeg, what, sample_fps, deep, stream_index,
                    key_frames_only=now.key_frames_only,
                )  # fmt: skip
                return measured(pixels, deep, wait_s, stdin)

        return Decoding(
            command, file, source, (sum(sizes_px), max(sizes_px), 3), wait_s, flow, sample_fps, stream_index,
            levels=levels if any(view.reader > 1 for view in views) else None,
            key_times=lambda: source.key_times(keyframes) if keyframes else (),
            threads=threads, pixels=pixels,
        )  # fmt: skip

    def every_frame(
        self,
        file: Path,
        size_px: tuple[int, int],
        duration_s: float | None,
        stream_index: int | None = None,
        threads: int = 1,
    ) -> Decoding:
        """Prepare a `Decoding` of all frames at a small size, colours as ffmpeg has them.

        Args:
            file: A local file.
            size_px: Width and height, whatever the video's shape.
            duration_s: Where known, it lengthens the wait for the decoder.
            stream_index: The stream to read; None: the first that is no attached picture.
            threads: Of the decoder.
        """
        _refuse_control_characters(file)
        wait_s = self._min_wait_s + self._wait_s_per_s * (duration_s or 0.0)
        source = self._source(file, stream_index, wait_s)
        stream_index = stream_index if isinstance(source, PlainFile) else None

        def command(what: Input, _: int, now: Pass) -> list[str]:
            return every_frame_command(
                self.tools.ffmpeg, what, size_px, stream_index=stream_index, start_s=now.start_s,
                threads=now.threads,
            )  # fmt: skip

        return Decoding(
            command, file, source, (size_px[1], size_px[0], 3), wait_s * source.slower, None, EVERY_FPS,
            stream_index, levels=None, threads=threads,
        )  # fmt: skip

    def _source(self, file: Path, stream_index: int | None, wait_s: float) -> Source:
        """Source of a file: ffmpeg itself, or the DICOM reader."""
        head = read_head(file)
        if is_dicom(head):
            return DicomSource(file, wait_s)
        demuxer = forced_demuxer(file, head)
        stream = stream_specifier(stream_index)

        def packet_flags(times: bool) -> PacketFlags:
            asking = packet_flags_command(self.tools.ffprobe, file, stream, demuxer, times=times)
            try:
                return PacketFlags.parse(self._asked(file, asking, wait_s))
            except VideoError:  # decoded by ffmpeg, unknown to an older ffprobe: nothing says what is hidden
                return PacketFlags()

        def times(rule: KeyframeRule) -> Sequence[float]:
            return key_times(self.tools.ffprobe, file, stream, demuxer, rule, wait_s)

        return PlainFile(file, demuxer, stream_index, packet_flags, times)

    def thumbnail(self, file: Path, longer_px: int = STILL_PX) -> bytes:
        """Thumbnail of the middle frame as a small JPEG; of an earlier one where none decodes there.

        Raises:
            VideoError: The file is gone, refused, shows a patient, or gives no frame.
        """
        facts = self._facts_to_show(file)
        (picture,) = self._stills(file, facts, [(facts.duration_s or 0.0) / 2], longer_px)
        if picture is None:
            raise NoFrames(f"{file.name}: no frame decodes.")
        return jpeg(picture)

    def filmstrip(self, file: Path) -> bytes:
        """Ten frames spread over the video, side by side in one JPEG.

        Raises:
            VideoError: The file is gone, refused, shows a patient, or gives no frame.
        """
        facts = self._facts_to_show(file)
        strip = joined(self._stills(file, facts, strip_times(facts.duration_s), STRIP_PX))
        if not strip:
            raise NoFrames(f"{file.name}: no frame decodes.")
        return strip

    def pictures(self, file: Path, times_s: Sequence[float]) -> list[bytes]:
        """The frames at these times as small JPEGs; empty ones of DICOM, and where nothing decodes.

        Raises:
            VideoError: The file is gone or refused.
        """
        facts = self.probe(file)
        if is_dicom(read_head(file)):
            return [b""] * len(times_s)
        return [b"" if frame is None else jpeg(frame) for frame in self._stills(file, facts, times_s)]

    def _facts_to_show(self, file: Path) -> MediaFacts:
        facts = self.probe(file)
        if is_dicom(read_head(file)):
            raise Forbidden(f"{file.name} is a DICOM file: its pictures may show a patient's name.")
        return facts

    def _stills(
        self, file: Path, facts: MediaFacts, times_s: Sequence[float], longer_px: int = STILL_PX
    ) -> list[Pixels | None]:
        source = self._source(file, facts.stream_index, STILL_WAIT_S)
        found = [frame_at(self.tools.ffmpeg, file, source, facts, at_s, longer_px) for at_s in times_s]
        return [self._blur(frame) if self._blur and frame is not None else frame for frame in found]


def _refuse_control_characters(file: Path) -> None:
    """Refuse file names with control characters, which could forge lines of ffmpeg's log."""
    if any(ord(character) < 32 for character in str(file)):
        raise Forbidden(f"{str(file)!r} has a control character in its name.", next_step="rename it.")
