"""Detection of damaged and truncated videos: packets without frames, decode errors, container sizes.

Duration times frame rate is no evidence: it is wrong in healthy files, too (edit lists, gaps, long audio). So
packets of the stream that was read are compared with the frames that came of them.

    packets   K D D D . . . . . . .        D: the container marks it as discarded (an edit list)
    frames            . . . . . . .        shown = packets - D; whole when each shown packet gave its frame

A packet may rightly give no frame of its own, without any complaint of the decoder: the second field of a
picture, or a reference picture that is never shown (VP8). Packets before the first key frame are lost with or
without a complaint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vidpipe.adapters.media.log import FfmpegLog

LOST_SHARE_OK = 0.02
"""Lost packets up to this share, and one more, are no damage: where a recorder was switched on or off."""
UNKNOWN_RIFF_SIZES = (0, 0xFFFFFFFF)
"""What recorders write before they know the size."""
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11")


@dataclass(frozen=True, slots=True)
class PacketFlags:
    """Discarded packets, and packets before the first key frame, of one stream."""

    hidden: int
    """Marked to be discarded: decoded, never shown."""
    lead: int
    """Shown ones before the first key frame."""

    @classmethod
    def parse(cls, text: bytes) -> PacketFlags:
        """Parse ffprobe's `packet=flags` as CSV: `K` key, `D` discard, one line a packet."""
        flags = text.split()
        first_key = next((n for n, flag in enumerate(flags) if b"K" in flag), len(flags))
        return cls(sum(b"D" in flag for flag in flags), sum(b"D" not in flag for flag in flags[:first_key]))


@dataclass(frozen=True, slots=True)
class Damage:
    """Expected number of frames, and whether the file is damaged."""

    frames_expected: int | None
    """None where the container is cut off: its packets do not say how many there were."""
    is_damaged: bool


def assess(file: Path, log: FfmpegLog, frames: int, packet_flags: Callable[[], PacketFlags]) -> Damage:
    """Compare a decode with the file's packets and sizes.

    Args:
        file: The file that was decoded.
        log: What ffmpeg said meanwhile.
        frames: Frames that were decoded.
        packet_flags: Asked only where packets and frames differ, since it reads the file again.
    """
    lost = _lost(log, frames, packet_flags()) if log.packets > frames else 0
    is_cut = log.is_cut or ends_early(file)
    torn = log.decode_errors + log.torn_frames > 0
    return Damage(
        None if is_cut else frames + lost, is_cut or torn or lost > LOST_SHARE_OK * (frames + lost) + 1
    )


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


def ends_early(file: Path) -> bool:
    """Whether a container's sizes reach beyond the end of the file: MP4, AVI, WebP, Matroska, ASF, APNG."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        head = stream.read(4096)

        def at(offset: int, count: int) -> bytes:
            stream.seek(offset)
            return stream.read(count)

        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp"):
            return _boxes_end_early(at, size)
        if head[:4] == b"RIFF":
            return _riff_ends_early(at, size)
        if head[:4] == b"\x1aE\xdf\xa3":
            return _ebml_ends_early(at, size)
        if head[:8] == b"\x89PNG\r\n\x1a\n":
            return b"IEND" not in at(max(0, size - 64), 64)
    return head.startswith(_ASF_HEADER) and _asf_ends_early(head, size)


def _boxes_end_early(at: Callable[[int, int], bytes], size: int) -> bool:
    """Whether MP4 boxes reach beyond the file.

    Source: ISO/IEC 14496-12, 4.2: size (1: 64 bits follow; 0: up to the end of the file), type.
    """
    offset = 0
    while offset + 8 <= size:
        header = at(offset, 16)
        length = int.from_bytes(header[:4])
        if length == 1:
            length = int.from_bytes(header[8:16])
        if length < 8 or not header[4:8].isascii():
            return False  # up to the end, or bytes that a recorder left behind
        offset += length
    return offset > size


def _riff_ends_early(at: Callable[[int, int], bytes], size: int) -> bool:
    """Whether RIFF chunks reach beyond the file.

    Source: the RIFF specification and OpenDML 1.02: chains of RIFF chunks, padded to even sizes.
    """
    offset = 0
    while (header := at(offset, 8))[:4] == b"RIFF" and len(header) == 8:
        length = int.from_bytes(header[4:], "little")
        if length in UNKNOWN_RIFF_SIZES:
            return False
        offset += 8 + length + length % 2
    return offset > size + 1


def _ebml_ends_early(at: Callable[[int, int], bytes], size: int) -> bool:
    """Whether EBML elements (Matroska, WebM) reach beyond the file.

    Source: RFC 8794: id, then size, both of variable length. All ones: unknown, as of a live segment.
    """
    offset = 0
    while offset + 12 <= size:
        header = at(offset, 12)
        id_length = _vint_length(header[0])
        length_bytes = _vint_length(header[id_length]) if id_length <= 4 else 9
        if length_bytes > 8:
            return False
        field = int.from_bytes(at(offset + id_length, length_bytes)) & ((1 << 7 * length_bytes) - 1)
        inside = offset + id_length + length_bytes
        if field == (1 << 7 * length_bytes) - 1:
            if header[:4] != b"\x18\x53\x80\x67":
                return False  # a cluster of unknown size
            offset = inside
        else:
            offset = inside + field
    return offset > size


def _vint_length(first: int) -> int:
    """Length in bytes of an EBML variable-size integer, from its first byte."""
    return 9 - first.bit_length()


def _asf_ends_early(head: bytes, size: int) -> bool:
    """Whether an ASF (WMV) header says a size beyond the file's.

    Source: the ASF specification, 3.2 File Properties Object: size, flags (1: a broadcast of no size).
    """
    start = head.find(_ASF_PROPERTIES)
    if start < 0 or len(head) <= start + 88 or head[start + 88] & 1:
        return False
    return int.from_bytes(head[start + 40 : start + 48], "little") > size
