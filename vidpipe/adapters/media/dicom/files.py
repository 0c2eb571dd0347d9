"""DICOM files: their facts, and their frames on a pipe from which ffmpeg reads them as from any other file.

    program.py (pydicom, its decoders) ──Matroska, uncompressed──▶ ffmpeg: sampling, transform, flow

A DICOM file comes from strangers, so pydicom runs like ffmpeg: a process of its own with limits. Encapsulated
MPEG-2, H.264 and HEVC go to ffmpeg as they are, by way of a temporary file without a name.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from vidpipe.adapters.media.commands import Input
from vidpipe.adapters.media.damage import LOST_SHARE_OK, Damage
from vidpipe.adapters.media.log import FfmpegLog
from vidpipe.adapters.media.process import LimitedProcess
from vidpipe.adapters.media.signatures import read_head
from vidpipe.errors import Forbidden, NoVideoStream, Unreadable, VideoError
from vidpipe.records.features import KeyframeRule
from vidpipe.records.videos import MediaFacts

FACTS_WAIT_S = 30.0
INSTALL = "pip install 'vidpipe[dicom]', then vidpipe retry."
RAW_DEMUXERS = {"h264": "h264", "hevc": "hevc", "mpeg2video": "mpegvideo"}
REFUSED = re.compile(r"(no_video|unreadable) (.*)")
_STREAM_SYNTAX = re.compile(rb"\x02\0\x10\0UI..1\.2\.840\.10008\.1\.2\.4\.10[0-8][.\0\x02]", re.S)
"""Transfer Syntax UID of an encapsulated stream, in the meta information (always explicit, little-endian).
Source: DICOM PS3.10 7.1, PS3.6 table A-1."""
_ROOT = Path(__file__).resolve().parents[4]
"""Where the package `vidpipe` lies."""


def is_dicom(head: bytes) -> bool:
    """Whether a file with this head is one. Source: DICOM PS3.10 7.1."""
    return head[128:132] == b"DICM"


@cache
def build() -> str:
    """The reader's versions, as the numerics class names them; empty without the extra."""
    try:
        return f"+pydicom-{version('pydicom')}"
    except PackageNotFoundError:
        return ""


def dicom_facts(file: Path) -> MediaFacts:
    """Video metadata from a DICOM header; no frame is decoded.

    Raises:
        Forbidden: The extra `vidpipe[dicom]` is not installed.
        NoVideoStream: A single picture, or a stack of slices.
        Unreadable: pydicom or its decoders make no sense of it.
    """
    said = _facts(file)
    width, height = int(said["width_px"]), int(said["height_px"])
    wide, high = said["aspect"]
    return MediaFacts(
        container="dicom", video_codec=str(said["codec"]), width_px=width, height_px=height, rotation=0,
        source_fps=said["source_fps"], is_vfr=said["is_vfr"], duration_s=said["duration_s"],
        frames_expected=said["frames"], sample_aspect_ratio=f"{wide}:{high}",
        display_width_px=max(width, round(width * wide / high)),
        display_height_px=max(height, round(height * high / wide)), times_assumed=said["times_assumed"],
    )  # fmt: skip


class DicomSource:
    """One DICOM file as a source of frames: see `decoding.Source`."""

    misread = "it does not read DICOM"
    slower = 4.0
    """Frames are decoded one by one and cross a pipe uncompressed."""

    def __init__(self, file: Path, wait_s: float) -> None:
        """Start nothing yet.

        Raises:
            Forbidden: The extra `vidpipe[dicom]` is not installed.
        """
        _require_extra(file)
        self._file, self._wait_s = file, wait_s * self.slower
        self._is_stream = bool(_STREAM_SYNTAX.search(read_head(file)))
        self._promised = self._errors = 0

    @contextmanager
    def opened(self, log: FfmpegLog) -> Iterator[tuple[Input, int]]:
        """Context manager with ffmpeg's input and the descriptor for its standard input."""
        self._promised = self._errors = 0
        verb = "stream" if self._is_stream else "frames"
        reader = LimitedProcess(_program(verb, self._file), self._wait_s, lambda line: self._heard(line, log))
        try:
            if not self._is_stream:
                yield Input("pipe:0", {"f": "matroska"}), reader.stdout
                return
            with TemporaryFile() as spool:
                _spool(reader, spool)
                yield Input("file:/dev/stdin", self._options(spool)), spool.fileno()
        finally:
            reader.kill()

    def key_times(self, rule: KeyframeRule) -> Sequence[float]:  # noqa: ARG002
        """Frames are decoded in full: most are key frames, and the reader skips none."""
        return ()

    def damage(self, log: FfmpegLog, frames: int) -> Damage:
        """Frames that the header promises and that did not come; the reader's and ffmpeg's complaints."""
        expected = max(self._promised, frames)
        torn = self._errors + log.decode_errors + log.torn_frames > 0
        return Damage(expected, torn or expected - frames > LOST_SHARE_OK * expected + 1)

    def _heard(self, line: str, log: FfmpegLog) -> None:
        """The program's own lines alone: what else may come on stderr is not repeated."""
        kind, _, words = line.partition(" ")
        if kind == "frames" and words.isdigit():
            self._promised = int(words)
        elif kind in ("error", "no_video", "unreadable"):
            self._errors += 1
            log.line(f"[dicom] [error] {words}")

    def _options(self, spool: IO[bytes]) -> dict[str, Any]:
        """A stream without a container has no clock: it gets the header's frame rate."""
        spool.seek(0)
        head = spool.read(5).lstrip(b"\0")
        is_raw = head[:1] == b"\x01" and head[1:2] != b"\xba"  # 1BA: MPEG-PS, which has a clock
        if not is_raw:
            return {}
        said = _facts(self._file)
        return {"f": RAW_DEMUXERS[said["codec"]], "framerate": f"{said['source_fps']:.6f}"}


def _spool(reader: LimitedProcess, spool: IO[bytes]) -> None:
    """Written to a file first: an MP4's index may stand at its end."""
    buffer = memoryview(bytearray(1 << 20))
    while count := reader.read_into(buffer):
        spool.write(buffer[:count])
    spool.flush()
    reader.finish()


def _facts(file: Path) -> dict[str, Any]:
    _require_extra(file)
    lines: list[str] = []
    reader = LimitedProcess(_program("facts", file), FACTS_WAIT_S, lines.append, brief=True)
    try:
        answer = reader.read_all()
        code = reader.finish()
    finally:
        reader.kill()
    if code != 0 or not answer:
        raise _refusal(file, lines)
    return dict(json.loads(answer))


def _refusal(file: Path, lines: list[str]) -> VideoError:
    refused = next((found for line in lines if (found := REFUSED.match(line))), None)
    if refused and refused[1] == "no_video":
        return NoVideoStream(f"{file.name} is a DICOM file, but no video: {refused[2]}.")
    why = refused[2] if refused else "the reader gave up"
    return Unreadable(
        f"{file.name} is a DICOM file that cannot be read: {why}.",
        next_step="try it in a DICOM viewer; export it from there as MP4.",
    )


def _require_extra(file: Path) -> None:
    if not build():
        raise Forbidden(
            f"{file.name} is a DICOM file, which needs the extra vidpipe[dicom].", next_step=INSTALL
        )


def _program(verb: str, file: Path) -> list[str]:
    """Python itself, blind to the folder that it starts in; one thread, whatever numpy's library likes."""
    return [
        "env", f"PYTHONPATH={_ROOT}", "OPENBLAS_NUM_THREADS=1", sys.executable, "-P", "-m",
        "vidpipe.adapters.media.dicom.program", verb, str(file),
    ]  # fmt: skip
