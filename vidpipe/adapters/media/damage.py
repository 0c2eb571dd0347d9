"""Detection of damaged and truncated videos: packets without frames, decode errors, container sizes.

Duration times frame rate is no evidence: it is wrong in healthy files, too (edit lists, gaps, long audio). So
packets of the stream that was read are compared with the frames that came of them.

    packets   K D D D . . . . . . .        D: the container marks it as discarded (an edit list)
    frames            . . . . . . .        shown = packets - D; whole when each shown packet gave its frame

A packet may rightly give no frame of its own, without any complaint of the decoder: the second field of a
picture, or a reference picture that is never shown (VP8). Packets before the first key frame are lost with or
without a complaint.

What is lost before it is a packet, the container's own checks tell: checksums of Ogg's pages, the chain of
Matroska's elements, AVI's index. In a transport stream it is the numbering of the small packets. Where that
breaks, either two recordings were spliced, which is no damage, or something is missing: then the decoder
complains, or a gap in time follows, as long as the frames that should have filled it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

from vidpipe.adapters.media.avi_index import indexed_chunks
from vidpipe.adapters.media.container_ends import ends_early
from vidpipe.adapters.media.log import FfmpegLog

LOST_SHARE_OK = 0.02
"""Lost packets up to this share, and one more, are no damage: where a recorder was switched on or off."""
CLOCK_JUMP_S = 10.0
"""From here on ffmpeg takes a gap in a transport stream for another clock, and closes it.
Source: https://ffmpeg.org/ffmpeg.html, `-dts_delta_threshold`."""
_PACKET = re.compile(rb"^(?:(-?[\d.]+|N/A),)?([K_][D_][C_])", re.M)


@dataclass(frozen=True, slots=True)
class PacketFlags:
    """Discarded packets, and packets before the first key frame, of one stream."""

    hidden: int = 0
    """Marked to be discarded: decoded, never shown."""
    lead: int = 0
    """Shown ones before the first key frame."""
    missing: int = 0
    """Those that would fill the gaps in time behind corrupt ones; 0 where no times were asked for."""

    @classmethod
    def parse(cls, text: bytes) -> PacketFlags:
        """Parse ffprobe's packets as CSV, a line each: time or nothing, then K key, D discard, C corrupt."""
        packets: list[tuple[bytes, bytes]] = _PACKET.findall(text)
        flags = [flag for _, flag in packets]
        first_key = next((n for n, flag in enumerate(flags) if b"K" in flag), len(flags))
        hidden = sum(b"D" in flag for flag in flags)
        return cls(hidden, sum(b"D" not in flag for flag in flags[:first_key]), _missing(packets))


def _missing(packets: list[tuple[bytes, bytes]]) -> int:
    """Packets that would fill the gaps behind corrupt ones, at the usual distance of the others.

    ffmpeg's parser of a codec may set the flag one packet early.
    """
    timed = [(float(time_s), b"C" in flag) for time_s, flag in packets if time_s not in (b"", b"N/A")]
    steps = [after - before for (before, _), (after, _) in pairwise(timed)]
    usual = median(steps) if steps else 0.0
    if usual <= 0:
        return 0
    behind = {n + late for n, (_, is_corrupt) in enumerate(timed) if is_corrupt for late in (0, 1)}
    return sum(
        round(step / usual) - 1 for n, step in enumerate(steps) if n in behind and usual < step < CLOCK_JUMP_S
    )


@dataclass(frozen=True, slots=True)
class Damage:
    """Expected number of frames, and whether the file is damaged."""

    frames_expected: int | None
    """None where the container is cut off: its packets do not say how many there were."""
    is_damaged: bool


def assess(
    file: Path, log: FfmpegLog, frames: int, stream: int, packet_flags: Callable[[bool], PacketFlags]
) -> Damage:
    """Whether a decode gave all that the file holds.

    Args:
        file: The file that was decoded.
        log: What ffmpeg said meanwhile.
        frames: Frames that were decoded.
        stream: Index of the stream that was read.
        packet_flags: Of the stream, with times or without. Asked only where packets and frames differ, or
            some are corrupt, since it reads the file again.
    """
    corrupt = log.corrupt_packets.get(stream, 0)
    flags = packet_flags(corrupt > 0) if log.packets > frames or corrupt else PacketFlags()
    unread = max(0, indexed_chunks(file, stream) - log.packets) if log.demuxer == "avi" else 0
    lost = _lost(log, frames, flags) + unread
    is_cut = log.is_cut or _has_hole(file, log) or ends_early(file)
    torn = log.decode_errors + log.torn_frames > 0 or flags.missing or (corrupt and log.decoder_complaints)
    return Damage(
        None if is_cut else frames + lost + flags.missing,
        bool(is_cut or torn or unread > 1 or lost > LOST_SHARE_OK * (frames + lost) + 1),
    )


def assess_key_frames(file: Path, log: FfmpegLog, lost: int, wanted: int) -> Damage:
    """Damage that a decode of the key frames alone can see; the others were never asked for.

    `lost` of the `wanted` samples, which the key packets promise, did not come.
    """
    torn = log.decode_errors + log.torn_frames > 0
    is_lost = lost > LOST_SHARE_OK * wanted + 1
    return Damage(None, torn or is_lost or log.is_cut or _has_hole(file, log) or ends_early(file))


def _has_hole(file: Path, log: FfmpegLog) -> bool:
    """Whether a Matroska file goes on behind what is no element; zeros up to the end are padding."""
    if log.broken_at is None:
        return False
    with file.open("rb") as stream:
        stream.seek(log.broken_at)
        return any(any(piece) for piece in iter(partial(stream.read, 1 << 20), b""))


def _lost(log: FfmpegLog, frames: int, flags: PacketFlags) -> int:
    """Number of packets that should have given a frame and gave none."""
    shown = log.packets - flags.hidden
    if shown <= frames:
        return 0
    if not log.decode_errors and (not log.decoder_complaints or _are_fields(shown, frames)):
        return min(flags.lead, shown - frames)
    return shown - frames


def _are_fields(shown: int, frames: int) -> bool:
    """Whether each packet holds one field of an interlaced frame: two packets a frame."""
    return abs(shown - 2 * frames) <= LOST_SHARE_OK * shown + 1
