"""File signatures (magic numbers): containers that are no video, and the true start of a raw video stream.

ffmpeg's demuxers of raw streams (H.264, HEVC, MPEG video, MJPEG) look for start codes anywhere and so "open"
every file that holds such bytes: a robot's log, a medical record. They are accepted only where the stream
starts the file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vidpipe.errors import Forbidden, Unreadable

HEAD_BYTES = 4096
RAW_DEMUXERS = ("h264", "hevc", "mpegvideo", "m4v", "mjpeg", "mpjpeg")
"""Demuxers of streams that carry no timestamps: their times come from a frame rate."""
MJPEG_SUFFIXES = (".mjpg", ".mjpeg")

GREY_16_TAGS = ("Y16 ", "Y1[0][16]")
"""Of 16-bit grey in AVI, as ffprobe spells them: cameras' and ffmpeg's own."""

_FOREIGN: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x89MCAP0\r\n", "an MCAP log", "export its image topic as a video."),
    (0, b"#ROSBAG V", "a ROS bag", "export its image topic as a video."),
    (0, b"SQLite format 3\0", "a database, such as a ROS 2 bag", "export its image topic as a video."),
    (0, b"II*\0", "a TIFF stack", "convert it to a video: one page a frame, with its true rate."),
    (0, b"MM\0*", "a TIFF stack", "convert it to a video: one page a frame, with its true rate."),
    (0, b"II+\0", "a BigTIFF stack", "convert it to a video: one page a frame, with its true rate."),
    (0, b"MM\0+", "a BigTIFF stack", "convert it to a video: one page a frame, with its true rate."),
    (0, b"\xed\xfe\0\0N\0o\0r\0p\0i\0x\0", "a Norpix sequence", "export it as AVI from StreamPix."),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", "export its images as a video."),
    (0, b"SIMPLE  =", "a FITS file", "export its images as a video or as SER."),
    (0, b"PK\x03\x04", "a zip archive", "unpack it."),
    (0, b"\x1f\x8b\x08", "a gzip archive", "unpack it."),
    (4, b"RED1", "a REDCODE recording", "export it as MOV from the camera's own program."),
    (4, b"RED2", "a REDCODE recording", "export it as MOV from the camera's own program."),
)  # fmt: skip
"""Offset, bytes, name, next step. Source: the formats' own specifications (DICOM PS3.10 7.1, mcap.dev, TIFF
6.0, wiki.ros.org/Bags/Format/2.0, Norpix sequence header: magic 0xFEED and its name in UTF-16)."""


def read_head(file: Path) -> bytes:
    """Read the first bytes of a file; empty where it cannot be read, which later steps report."""
    try:
        with file.open("rb") as stream:
            return stream.read(HEAD_BYTES)
    except OSError:
        return b""


def refuse_foreign(file: Path, head: bytes) -> None:
    """Raise `Forbidden`, with the container's name and the next step, for known files that are no video."""
    for offset, magic, name, next_step in _FOREIGN:
        if head[offset : offset + len(magic)] == magic:
            raise Forbidden(f"{file.name} is {name}, not a video container.", next_step=next_step)


def refuse_torn_stream(file: Path, head: bytes, demuxer: str) -> None:
    """Raise `Unreadable` where a raw-stream demuxer opened a file that does not start with such a stream."""
    starts = _STARTS.get(demuxer)
    if starts and not starts(head):
        raise Unreadable(
            f"{file.name} holds bytes of {demuxer} video, but does not start with them.",
            next_step="export it as a video, for example MP4, or cut the stream out of it.",
        )


def forced_demuxer(file: Path, head: bytes) -> str | None:
    """Demuxer for files that ffmpeg would misdetect: an MJPEG dump looks like one JPEG."""
    if file.suffix.lower() in MJPEG_SUFFIXES and _is_jpeg(head):
        return "mjpeg"
    return None


def forced_codec(head: bytes) -> dict[str, str]:
    """ffmpeg's input options for an AVI of 16-bit grey pictures, a tag that it does not know in AVI.

    Source: libavcodec/raw.c, the tag `Y1\\0\\x10` of gray16le; BITMAPINFOHEADER, biCompression.
    """
    format_at = head.find(b"strf") + 8
    is_grey = head[:4] == b"RIFF" and head[format_at + 16 : format_at + 20] in (b"Y16 ", b"Y1\0\x10")
    return {"c:v": "rawvideo", "tag:v": "0x10003159"} if is_grey and format_at >= 8 else {}


def _nal_header(head: bytes) -> int | None:
    """The byte after an Annex B start code at the very start; any number of zero bytes may lead it.

    Source: ITU-T H.264 and H.265, Annex B (byte stream format).
    """
    rest = head.lstrip(b"\0")
    zeros = len(head) - len(rest)
    return rest[1] if zeros >= 2 and rest[:1] == b"\x01" and len(rest) > 1 else None


def _is_h264(head: bytes) -> bool:
    byte = _nal_header(head)
    return byte is not None and byte < 0x80 and 1 <= byte & 0x1F <= 21


def _is_hevc(head: bytes) -> bool:
    byte = _nal_header(head)
    return byte is not None and byte < 0x80 and byte >> 1 <= 40


def _is_mpeg_video(head: bytes) -> bool:
    """A sequence, group or picture header; slices (01 to AF) start a stream cut between pictures."""
    byte = _nal_header(head)
    return byte is not None and (byte <= 0xAF or byte in (0xB2, 0xB3, 0xB5, 0xB8))


def _is_mpeg4_visual(head: bytes) -> bool:
    """Visual object (sequence), video object (layer), user data, group or VOP: ISO/IEC 14496-2, table 6-3."""
    byte = _nal_header(head)
    return byte is not None and (byte <= 0x2F or byte in (0xB0, 0xB2, 0xB3, 0xB5, 0xB6))


def _is_jpeg(head: bytes) -> bool:
    return head.startswith(b"\xff\xd8\xff")


_STARTS: dict[str, Callable[[bytes], bool]] = {
    "h264": _is_h264,
    "hevc": _is_hevc,
    "mpegvideo": _is_mpeg_video,
    "m4v": _is_mpeg4_visual,
    "mjpeg": _is_jpeg,
}
