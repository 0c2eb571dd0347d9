"""Key frames of a stream, by its packets: when they show, if they are dense enough to be sampled alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import nan
from pathlib import Path

from vidpipe.adapters.media.commands import packet_times_command
from vidpipe.adapters.media.process import LimitedProcess
from vidpipe.errors import TooSlow
from vidpipe.records.features import KeyframeRule
from vidpipe.vision.sampling import KeyframeGaps

CHUNK_BYTES = 1 << 16


def key_times(
    ffprobe: str, file: Path, stream: str, demuxer: str | None, rule: KeyframeRule, wait_s: float
) -> Sequence[float]:
    """Times of the key frames by which a video may be read; none also where ffprobe does not say so.

    Nothing is decoded; a stream whose key frames are sparse is left at the first gap.
    """
    gaps = KeyframeGaps(rule.most_gap_s)
    command = packet_times_command(ffprobe, file, stream, demuxer)
    process = LimitedProcess(command, wait_s, lambda _: None, brief=True)
    try:
        with suppress(TooSlow):
            for line in _lines(process):
                _add(gaps, line)
                if gaps.is_sparse:
                    return ()
            if process.finish() == 0 and gaps.suffice:
                return gaps.times_s
    finally:
        process.kill()
    return ()


def _add(gaps: KeyframeGaps, line: bytes) -> None:
    """`pts,duration,flags`; packets marked as discarded (an edit list) are never shown.

    A packet without a presentation time (raw streams, AVI with B-frames) counts as sparse: frames that come
    later than their packets would carry the times of other key frames, seconds away.
    """
    fields = line.split(b",")
    if len(fields) < 3 or b"D" in fields[2]:
        return
    time_s, duration_s = (_number(field) for field in fields[:2])
    gaps.add(time_s, duration_s if duration_s > 0 else 0.0, is_key=b"K" in fields[2])


def _number(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return nan


def _lines(process: LimitedProcess) -> Iterator[bytes]:
    rest, buffer = b"", memoryview(bytearray(CHUNK_BYTES))
    while count := process.read_into(buffer):
        *lines, rest = (rest + bytes(buffer[:count])).split(b"\n")
        yield from lines
    if rest:
        yield rest
