"""Parser of ffmpeg's and ffprobe's log: frame times, frame counts, stream lines and error messages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Event

from vidpipe.errors import Forbidden, NoFrames, NoVideoStream, Unreadable, Vanished, VideoError

_LAST_LINES = 4
_COMPLAINT = re.compile(r"^(?:\[[^\]]*\] )*\[(?:error|fatal|panic)\] (.*)")
_ECHOES = ("Task finished", "Terminating thread", "Nothing was written", "Conversion failed")
"""What ffmpeg says after it has said what was wrong."""
_SHOWN = re.compile(
    r"^(?:\[showinfo@(?P<filter>frames|flow) @ [0-9a-fx]+\] \[info\] |"
    r"(?:\[[^\]]*\] )*\[(?:warning|error)\] .*?)"
    r"n: *(?P<n>\d+) pts: *\S+ pts_time:(?P<time_s>\S+)"
)
"""A frame's time. Where a decoder's message has only begun (FFV1's does), it stands in that message's line,
and the filter's name is lost. Source: libavfilter/vf_showinfo.c, libavcodec/ffv1dec.c, libavutil/log.c."""
_COLOURS = re.compile(r"^\[showinfo@frames @ [0-9a-fx]+\] \[info\] color_range:")
_COLOUR = re.compile(r"color_(space|primaries|trc):([\w-]+)")
_DECODED = re.compile(
    r"^(?:\[[^\]]*\] )*\[verbose\] +Input stream #\d+:\d+ \(video\): [^;]*; "
    r"(\d+) frames decoded(?:; (\d+) decode errors)?"
)
_PACKETS = re.compile(r"^(?:\[[^\]]*\] )*\[verbose\] +Input stream #\d+:\d+ \(video\): (\d+) packets read")
_STREAM = re.compile(r"^(?:\[[^\]]*\] )*\[info\]   Stream #0:(\d+)\S*: Video: (?!.*\(attached pic\))")
_DAMAGE = re.compile(
    r"^(?:\[showinfo@\w+ @ [0-9a-fx]+\] \[info\] .*?|(?:\[[^\]]*\] )*\[(?:warning|error)\] )(?:"
    r"(?P<torn>corrupt decoded frame|slice CRC mismatch|LZW decode failed|error count: \d+)|"
    r"corrupt input packet in stream (?P<stream>\d+)|"
    r"(?P<cut>File ended prematurely|stream \d+, offset \w+: partial file|Truncating packet of size|"
    r"failed to seek to FooterPartition|bad FooterPartition in RIP|Error during demuxing|CRC mismatch!)|"
    r"0x\w+ at pos (?P<broken_at>\d+) .*invalid as first byte of an EBML number)"
)
"""Torn frames, packets that are not whole, files that are shorter than their index or their last packet says,
pages of Ogg and elements of Matroska that are not what they were. Frames that FFV1, GIF or MJPEG know to be
torn have a frame all the same. `showinfo` writes a line in pieces; another thread's message may come in
between, and then without a prefix.
Source: fftools/ffmpeg_dec.c, ffmpeg_demux.c, libavformat/matroskadec.c, oggdec.c, mov.c, mxfdec.c, aviobuf.c,
libavcodec/ffv1dec.c, gifdec.c, mjpegdec.c."""
_INPUT = re.compile(r"^\[info\] Input #0, (\S+), from")
_REBUILT = "Reconfiguring filter graph"
"""Source: fftools/ffmpeg_filter.c, when a frame's size, format or colours are not those of the one before."""
_PIXELS = re.compile(r"^\[graph [^\]]*\] \[verbose\] w:\d+ h:\d+ pixfmt:(\w+) ")
"""Source: libavfilter/buffersrc.c, what a filter graph is fed with."""
_MAPPING = "[info] Stream mapping:"
_DEMUXER = re.compile(r"^\[(?:in|out|null)[#\]/ ]")


@dataclass
class _Shown:
    """Counts of the frames that each filter has logged, by which a line without a name finds its filter.

    The flow samples at least as often. So of two lines with the same number, the flow's comes first; or both
    are of one picture, and it does not matter which of the two times is whose.
    """

    frames: int = 0
    flow: int = 0
    guessed: int = -1
    """The number of a line that both could have written, and that was taken for the flow's."""

    def is_flow(self, name: str | None, number: int) -> bool:
        if name is None:
            is_flow = number != self.frames or number == self.flow > 0
            self.guessed = number if is_flow and number == self.frames else self.guessed
        else:
            is_flow = name == "flow" and number != self.guessed
        if is_flow:
            self.flow = number + 1
        else:
            self.frames = number + 1
        return is_flow


@dataclass
class FfmpegLog:
    """Frame times, counts and error messages parsed from ffmpeg's log."""

    times_s: SimpleQueue[float | None] = field(default_factory=SimpleQueue)
    """One a frame; None where ffmpeg built its filters anew, and what they knew was lost."""
    flow_times_s: SimpleQueue[float | None] = field(default_factory=SimpleQueue)
    """Likewise, of the small grey pictures."""
    complaints: list[str] = field(default_factory=list)
    frames_decoded: int = 0
    decode_errors: int = 0
    torn_frames: int = 0
    """Frames that came out with damage that the decoder knows of."""
    decoder_complaints: int = 0
    """Complaints that are not the container's."""
    packets: int = 0
    """Of the video stream that was read."""
    streams: dict[int, str] = field(default_factory=dict)
    """What is said of each video stream of the file that is no attached picture."""
    pix_fmt: str | None = None
    """Of the frames that came out of the decoder first."""
    colours: dict[str, str] = field(default_factory=dict)
    """`space`, `primaries` and `trc` of the first frame, which may know more than the container."""
    colours_shown: Event = field(default_factory=Event)
    is_mapped: bool = False
    """The file's streams have all been named; others that follow are ffmpeg's own."""
    demuxer: str = ""
    corrupt_packets: dict[int, int] = field(default_factory=dict)
    """Of each stream of an MPEG-TS: those at which the numbering of its small packets broke."""
    is_cut: bool = False
    """The container ends, or goes on with something else, in the middle of something."""
    broken_at: int | None = None
    """Where a Matroska file first holds no element."""
    _shown: _Shown = field(default_factory=_Shown)

    def line(self, text: str) -> None:
        """Parse the next line of the log."""
        if shown := _SHOWN.match(text):
            is_flow = self._shown.is_flow(shown["filter"], int(shown["n"]))
            times = self.flow_times_s if is_flow else self.times_s
            times.put(float(shown["time_s"]) if shown["time_s"] != "NOPTS" else float("nan"))
        if damage := _DAMAGE.match(text):
            self._damaged(damage)
        elif shown:
            return
        elif _COLOURS.match(text) and not self.colours_shown.is_set():
            self.colours = dict(_COLOUR.findall(text))
            self.colours_shown.set()
        elif _REBUILT in text:
            self._shown = _Shown()
            self.times_s.put(None)
            self.flow_times_s.put(None)
        elif not self.is_mapped and (stream := _STREAM.match(text)):
            self.streams.setdefault(int(stream[1]), text)
        elif self.pix_fmt is None and (decoded_as := _PIXELS.match(text)):
            self.pix_fmt = decoded_as[1]
        elif text.endswith(_MAPPING):
            self.is_mapped = True
        elif not self.demuxer and (opened := _INPUT.match(text)):
            self.demuxer = opened[1]
        elif (complaint := _COMPLAINT.match(text)) and not complaint[1].startswith(_ECHOES):
            self.decoder_complaints += not _DEMUXER.match(text)
            self.complaints = [*self.complaints[1 - _LAST_LINES :], complaint[1]]
        elif decoded := _DECODED.match(text):
            self.frames_decoded = max(self.frames_decoded, int(decoded[1]))
            self.decode_errors = max(self.decode_errors, int(decoded[2] or 0))
            if packets := _PACKETS.match(text):
                self.packets = max(self.packets, int(packets[1]))

    def _damaged(self, damage: re.Match[str]) -> None:
        """Count it; a packet that is not whole is the last one of the file, but for transport streams."""
        if damage["torn"]:
            self.torn_frames += 1
        elif damage["stream"] and self.demuxer == "mpegts":
            stream = int(damage["stream"])
            self.corrupt_packets[stream] = self.corrupt_packets.get(stream, 0) + 1
        elif damage["broken_at"]:
            self.broken_at = int(damage["broken_at"]) if self.broken_at is None else self.broken_at
        elif self.demuxer != "mpjpeg":  # it calls the last boundary of a healthy one an error
            self.is_cut = True
            if complaint := _COMPLAINT.match(damage.string):
                self.complaints = [*self.complaints[1 - _LAST_LINES :], complaint[1]]

    @property
    def first_stream(self) -> int | None:
        """Index of the first video stream that is no attached picture."""
        return min(self.streams, default=None)

    @property
    def last(self) -> str:
        """The last error message, empty when there was none."""
        return self.complaints[-1] if self.complaints else ""

    @property
    def said(self) -> str:
        """The last few error messages, in one line."""
        return " | ".join(self.complaints)


def decode_error(file: Path, log: FfmpegLog, code: int) -> VideoError:
    """Error for a file without a decoded frame, from ffmpeg's messages."""
    if "matches no streams" in log.said:
        return NoVideoStream(f"{file.name} has no video stream. {log.said}")
    if code != 0 and log.frames_decoded == 0:
        return refusal(file, log)
    return NoFrames(f"{file.name}: no frame decodes. {log.said}")


def refusal(file: Path, log: FfmpegLog) -> VideoError:
    """Error for a file that ffmpeg or ffprobe did not open, from its messages."""
    if "whitelist" in log.said:
        return Forbidden(f"{file.name} is not a media container. {log.said}")
    if not file.exists():
        return Vanished(f"{file} is gone.")
    return Unreadable(f"{file.name} cannot be read as video. {log.said or 'No reason given.'}")
