"""The sampled frames of one video as ffmpeg gives them, and a second pass where the first one went wrong."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from queue import Empty
from subprocess import DEVNULL
from typing import Protocol

import numpy as np

from vidpipe.adapters.media.colour import PLAIN, Look, Tags, likely_look, look_of
from vidpipe.adapters.media.commands import Input
from vidpipe.adapters.media.damage import Damage, PacketFlags, assess, assess_key_frames
from vidpipe.adapters.media.deep_grey import Levels
from vidpipe.adapters.media.log import FfmpegLog, decode_error
from vidpipe.adapters.media.optical_flow_reader import FlowReader
from vidpipe.adapters.media.process import LimitedProcess
from vidpipe.errors import NoFrames, Unreadable
from vidpipe.records.features import DecodeReport, FlowSpec, KeyframeRule
from vidpipe.records.videos import Floats, Pixels
from vidpipe.vision.sampling import Sampler, sampled_indices

TIME_WAIT_S = 20.0
COLOURS_WAIT_S = 5.0
"""They stand in the line after that with the frame's time."""
PROOF_FRAMES = 4
"""So many frames of key frames alone are held back until their times are those of the key frames."""
PROOF_S = 0.002
"""Times of ffmpeg and ffprobe are the same but for rounding to a container's time base."""


class Source(Protocol):
    """Source of a video's bytes for ffmpeg, and the damage found in it."""

    misread: str
    """What reader 1 does with such a file instead; empty where it is right."""
    slower: float
    """How much longer its frames may take than those of a file that ffmpeg opens itself."""

    def opened(self, log: FfmpegLog) -> AbstractContextManager[tuple[Input, int]]:
        """Context manager with ffmpeg's input and the descriptor for its standard input."""

    def key_times(self, rule: KeyframeRule) -> Sequence[float]:
        """Times of the key frames, where these alone may be decoded; none elsewhere."""

    def damage(self, log: FfmpegLog, frames: int) -> Damage:
        """Compare a finished decode with the frames that the file promises."""


class PlainFile:
    """A file that ffmpeg opens itself."""

    misread = ""
    slower = 1.0

    def __init__(
        self,
        file: Path,
        demuxer: str | None,
        stream_index: int | None,
        packet_flags: Callable[[bool], PacketFlags],
        key_times: Callable[[KeyframeRule], Sequence[float]],
    ) -> None:
        """`packet_flags`: of the stream, with times on request; asked for only where frames are missing."""
        self._file, self._demuxer, self._packet_flags = file, demuxer, packet_flags
        self._stream_index = stream_index
        self.key_times = key_times

    @contextmanager
    def opened(self, log: FfmpegLog) -> Iterator[tuple[Input, int]]:  # noqa: ARG002
        """The file, and nothing on standard input."""
        yield Input.of(self._file, self._demuxer), DEVNULL

    def damage(self, log: FfmpegLog, frames: int) -> Damage:
        """Packets against frames."""
        stream = log.first_stream if self._stream_index is None else self._stream_index
        return assess(self._file, log, frames, stream or 0, self._packet_flags)


class _FiltersRebuilt(Exception):
    """ffmpeg rebuilt its filter graph because the frame size changed, and lost its sampling state."""


class _OtherFrames(Exception):
    """The decoder gives other frames than those that the container flags as key frames."""


class _DecodeErrors(Exception):
    """The stream is damaged: what the decoder makes of it is the same every time with one thread only."""


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
    key_times_s: Sequence[float] = ()
    """Times of the key frames, where these alone are decoded."""
    threads: int = 1
    """Of the decoder. Their number changes no bit of a stream that decodes without an error."""

    @property
    def key_frames_only(self) -> bool:
        """Whether no other frame is decoded."""
        return bool(self.key_times_s)


class Decoding:
    """The sampled frames of one video, in order: iterate once, then read `report`.

    Yields `(time_s, pixels)`, pixels uint8 (sum of sizes, greatest size, 3), RGB: the views of the frame one
    below the other. `flow` is what the frame yielded last has of optical flow, None where none is wanted.

    Raises (while iterating):
        VideoError: The video is bad; which subclass says how.
    """

    def __init__(
        self,
        command: Callable[[Input, int, Pass], list[str]],
        file: Path,
        source: Source,
        shape: tuple[int, int, int],
        wait_s: float,
        flow: FlowSpec | None,
        sample_fps: float,
        stream_index: int | None,
        *,
        levels: Callable[[str, Pass], Levels] | None,
        key_times: Callable[[], Sequence[float]] = tuple,
        threads: int = 1,
        pixels: int = 0,
    ) -> None:
        """Prepare; ffmpeg is started by iteration.

        Args:
            command: ffmpeg's, of what it opens, the descriptor for grey pictures, and what is known by now.
            file: What it decodes.
            source: How ffmpeg comes by it.
            shape: Of one frame.
            wait_s: How long the decoder may keep us waiting.
            flow: How optical flow is computed.
            sample_fps: What the command samples by.
            stream_index: Which stream it reads; None: the first.
            levels: Measures a deep grey video, in this format; None: pixels are mapped as ffmpeg does it.
            key_times: Times of the key frames, if only these are to be decoded; asked when decoding begins.
            threads: Of the decoder, unless the stream is damaged.
            pixels: Of one frame, where known.
        """
        self.report: DecodeReport | None = None
        self.flow: Floats | None = None
        self._command, self._file, self._source = command, file, source
        self._shape, self._wait_s = shape, wait_s
        self._flow_spec = flow
        self._sample_fps, self._stream_index = sample_fps, stream_index
        self._levels = levels
        self._key_times, self._threads = key_times, threads
        self._first_look = likely_look(pixels) if levels else PLAIN
        self._first_s = 0.0

    def __iter__(self) -> Generator[tuple[float, Pixels], None, None]:
        """Yield the sampled frames; decode again from the start where sampling or colours were wrong.

        Where ffmpeg loses its sampling state, the first frame's time says which frames are to come.
        """
        first = Pass(look=self._first_look, threads=self._threads)
        now, given = replace(first, key_times_s=self._key_times()), 0
        while True:
            try:
                with closing(self._frames(now)) as frames:
                    shown = self._proven(frames, now) if now.key_frames_only and not given else frames
                    for frame in islice(shown, given, None):
                        yield frame
                        given += 1
                return
            except _FiltersRebuilt:
                now = replace(now, start_s=self._first_s)
            except _OtherColours as found:
                levels = self._levels(found.look.deep, now) if self._levels and found.look.deep else None
                now = replace(now, look=found.look, levels=levels)
            except _DecodeErrors:
                now = replace(now, threads=1)
            except (_OtherFrames, NoFrames, Unreadable):
                if given or not now.key_frames_only:
                    raise
                now = first

    def _proven(self, frames: Iterator[tuple[float, Pixels]], now: Pass) -> Iterator[tuple[float, Pixels]]:
        """Hold the first frames back until they are known to be the key frames.

        A decoder may know fewer of them than the container flags (H.264 with open GOPs or intra refresh), or
        may skip nothing (VP9).
        """
        wanted = sampled_indices(now.key_times_s, self._sample_fps)[:PROOF_FRAMES]
        held = list(islice(frames, PROOF_FRAMES))
        late_s = [time_s - now.key_times_s[n] for (time_s, _), n in zip(held, wanted, strict=False)]
        if len(held) != len(wanted) or max(late_s) - min(late_s) > PROOF_S:
            raise _OtherFrames
        yield from held
        yield from frames

    def _frames(self, now: Pass) -> Generator[tuple[float, Pixels], None, None]:
        log, start_s = FfmpegLog(), now.start_s
        sampler = Sampler(self._sample_fps, start_s) if start_s is not None else None
        with ExitStack() as ends:
            what, stdin = ends.enter_context(self._source.opened(log))
            flows = FlowReader(self._flow_spec, log, start_s) if self._flow_spec else None
            pipes = (flows.write_end,) if flows else ()
            command = self._command(what, flows.write_end if flows else -1, now)
            process = LimitedProcess(command, self._wait_s, log.line, pass_fds=pipes, stdin=stdin)
            if flows:
                ends.enter_context(flows.reading())
            ends.callback(process.kill)
            frames = 0
            while (pixels := self._next_frame(process)) is not None:
                time_s = self._time_of_next(log, may_be_rebuilt=start_s is not None)
                _refuse_errors(log, now)
                if frames == 0 and (look := self._look(log)) != now.look:
                    raise _OtherColours(look)
                if sampler and not sampler.takes(time_s):
                    continue
                self._first_s = time_s if frames == 0 else self._first_s
                self.flow = flows.until(time_s) if flows else None
                yield time_s, pixels
                frames += 1
            code = process.finish()
        _refuse_errors(log, now)
        if frames == 0:
            raise decode_error(self._file, log, code)
        misread = self._misread(log, was_rebuilt=start_s is not None)
        self.report = self._reported(log, frames, misread, now)

    def _look(self, log: FfmpegLog) -> Look:
        """Colour conversion by the stream's tags, which ffmpeg logs before the first frame."""
        index = log.first_stream if self._stream_index is None else self._stream_index
        if self._levels is None or index is None or index not in log.streams:
            return PLAIN
        tags = Tags.parse(log.streams[index])
        log.colours_shown.wait(COLOURS_WAIT_S)
        return look_of(replace(tags, pix_fmt=log.pix_fmt or tags.pix_fmt).seen_in(log.colours))

    def _reported(self, log: FfmpegLog, sampled: int, misread: str, now: Pass) -> DecodeReport:
        frames = log.frames_decoded or sampled
        if now.key_frames_only:
            wanted = len(sampled_indices(now.key_times_s, self._sample_fps))
            damage = assess_key_frames(self._file, log, wanted - sampled, wanted)
        else:
            damage = self._source.damage(log, frames)
        return DecodeReport(
            None if now.key_frames_only else frames, log.decode_errors + log.torn_frames, log.last,
            damage.frames_expected, damage.is_damaged,
            sampling="keyframes" if now.key_frames_only else "full", misread=misread,
        )  # fmt: skip

    def _misread(self, log: FfmpegLog, *, was_rebuilt: bool) -> str:
        """The reason why reader 1 samples other frames of this video; empty where it does not."""
        if self._source.misread:
            return self._source.misread
        if self._stream_index is not None and log.first_stream not in (None, self._stream_index):
            return f"decodes stream {log.first_stream}, but the main video is stream {self._stream_index}"
        return "restarts sampling where the frame size changes" if was_rebuilt else ""

    def _time_of_next(self, log: FfmpegLog, *, may_be_rebuilt: bool) -> float:
        """Time of the next frame, from its log line, which comes before or just after its pixels."""
        try:
            while (time_s := log.times_s.get(timeout=TIME_WAIT_S)) is None:
                if not may_be_rebuilt:
                    raise _FiltersRebuilt
        except Empty:
            raise Unreadable(f"{self._file.name}: ffmpeg gave a frame without a time. {log.said}") from None
        return time_s

    def _next_frame(self, process: LimitedProcess) -> Pixels | None:
        pixels: Pixels = np.empty(self._shape, np.uint8)
        filled = process.read_into(pixels.reshape(-1).data)
        return pixels if filled == pixels.nbytes else None


def _refuse_errors(log: FfmpegLog, now: Pass) -> None:
    """Raise where several threads met damage; an error is logged before the frame that it spoils."""
    if now.threads > 1 and (log.decode_errors or log.torn_frames):
        raise _DecodeErrors
