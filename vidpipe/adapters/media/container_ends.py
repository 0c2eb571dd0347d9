"""Truncated files, which end before their container says: no power, a full card, a broken copy.

Sizes and end marks are read, nothing is decoded. Where a container says nothing of its end, this says no.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from vidpipe.adapters.media.ser import HEADER_BYTES, MAGIC, SerHeader

UNKNOWN_RIFF_SIZES = (0, 0xFFFFFFFF)
"""What recorders write before they know the size."""
TAIL_BYTES = 4096
"""So far from the end a mark may stand: a recorder fills the rest of a sector with zeros."""
OGG_PAGE_BYTES = 27 + 255 + 255 * 255
"""At most. Source: RFC 3533, section 6."""
DV_NTSC_BYTES, DV_PAL_BYTES = 120_000, 144_000
"""Of a frame, or of half of one at 50 Mbit/s. Source: SMPTE 314M; bit 7 of byte 3 says 625 lines."""
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


At = Callable[[int, int], bytes]
"""Reads so many bytes at an offset."""


def ends_early(file: Path) -> bool:
    """Whether a container's sizes reach beyond the end of the file, or what ends it is not there.

    Of MP4, AVI, WebP, Matroska, ASF, APNG, GIF, JPEGs, Ogg, FLV, SER, raw DV, YUV4MPEG2 and MPEG-TS.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:

        def at(offset: int, count: int) -> bytes:
            stream.seek(max(0, offset))
            return stream.read(count)

        head = at(0, 16)
        checks = (check for offset, magic, check in _CONTAINERS if head[offset:].startswith(magic))
        return any(check(at, size) for check in checks)


def _boxes_end_early(at: At, size: int) -> bool:
    """Source: ISO/IEC 14496-12, 4.2: size (1: 64 bits follow; 0: up to the end of the file), type."""
    offset = 0
    while offset + 8 <= size:
        header = at(offset, 16)
        length = int.from_bytes(header[:4])
        if length == 1:
            length = int.from_bytes(header[8:16])
        if length < 8 or header[4:8] not in _BOXES:
            return False  # up to the end, or bytes that a recorder left behind
        offset += length
    return offset > size


_BOXES = (
    b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"wide", b"free", b"skip", b"uuid", b"meta", b"mfra",
    b"sidx", b"ssix", b"prft", b"emsg", b"pdin", b"udta", b"pnot", b"PICT",
)  # fmt: skip
"""Of the outermost level. Source: ISO/IEC 14496-12, table 1; the QuickTime File Format."""


def _riff_ends_early(at: At, size: int) -> bool:
    """Source: the RIFF specification and OpenDML 1.02: chains of RIFF chunks, padded to even sizes."""
    offset = 0
    while (header := at(offset, 8))[:4] == b"RIFF" and len(header) == 8:
        length = int.from_bytes(header[4:], "little")
        if length in UNKNOWN_RIFF_SIZES:
            return False
        offset += 8 + length + length % 2
    return offset > size + 1


def _ebml_ends_early(at: At, size: int) -> bool:
    """Source: RFC 8794: id, then size, both of variable length. All ones: unknown, as of a live segment."""
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
                return False  # a cluster of unknown size: nobody says where it ends
            offset = inside
        else:
            offset = inside + field
    return offset > size


def _vint_length(first: int) -> int:
    """Bytes of a number of variable length, from its first byte."""
    return 9 - first.bit_length()


def _flv_ends_early(at: At, size: int) -> bool:
    """Whether the last tag is not whole; its size stands behind it, or 0 as some recorders have it.

    Source: the FLV specification 10.1, E.3 and E.4: type, 24 bits of size, 7 bytes, the data.
    """
    length = int.from_bytes(at(size - 4, 4))
    tag = at(size - 4 - length, 4) if 11 <= length < size - 13 else b""
    return length != 0 and int.from_bytes(tag[1:4]) != length - 11


def _ogg_ends_early(at: At, size: int) -> bool:
    """Whether the last page is not whole.

    Source: RFC 3533, section 6: 26 bytes, a count, so many sizes, the body.
    """
    tail = at(size - OGG_PAGE_BYTES, OGG_PAGE_BYTES)
    start = tail.rfind(b"OggS\0")
    if start < 0 or len(tail) < start + 27:
        return True
    sizes = tail[start + 27 : start + 27 + tail[start + 26]]
    return start + 27 + tail[start + 26] + sum(sizes) > len(tail)


def _asf_ends_early(at: At, size: int) -> bool:
    """Whether it is shorter than it says, or one of its packets does not begin as all do.

    Source: the ASF specification, 3.2 File Properties Object: size, flags (1: a broadcast of no size), least
    and greatest size of a packet; 5.1: the data's header has 50 bytes, with the number of packets; 5.2.1: 82
    hex, where error correction is present.
    """
    head = at(0, 4096)
    start = head.find(_ASF_PROPERTIES)
    if start < 0 or len(head) < start + 100 or head[start + 88] & 1:
        return False
    if int.from_bytes(head[start + 40 : start + 48], "little") > size:
        return True
    data, packet = (
        int.from_bytes(head[16:24], "little"),
        int.from_bytes(head[start + 92 : start + 96], "little"),
    )
    count = int.from_bytes(at(data + 40, 8), "little")
    if not packet or packet != int.from_bytes(head[start + 96 : start + 100], "little"):
        return False
    begins = (at(data + 50 + n * packet, 1) for n in range(min(count, size // packet)))
    return next(begins, b"") == b"\x82" and any(first != b"\x82" for first in begins)


def _png_ends_early(at: At, size: int) -> bool:
    return b"IEND" not in at(size - TAIL_BYTES, TAIL_BYTES)


def _gif_ends_early(at: At, size: int) -> bool:
    """Source: the GIF89a specification, 27: the trailer is 3B."""
    return not at(size - TAIL_BYTES, TAIL_BYTES).rstrip(b"\0\r\n").endswith(b";")


def _jpegs_end_early(at: At, size: int) -> bool:
    """Whether the last picture lacks its end mark, as recorders write one JPEG after the other.

    Source: ITU-T T.81, B.1.1.3: EOI is FF D9.
    """
    return not at(size - TAIL_BYTES, TAIL_BYTES).rstrip(b"\0\r\n").endswith(b"\xff\xd9")


def _ser_ends_early(at: At, size: int) -> bool:
    header = SerHeader.parse(at(0, HEADER_BYTES))
    return header is not None and header.end > size


def _dv_ends_early(at: At, size: int) -> bool:
    return bool(size % (DV_PAL_BYTES if at(3, 1)[0] & 0x80 else DV_NTSC_BYTES))


def _y4m_ends_early(at: At, size: int) -> bool:
    """Whether the last frame is not whole, where frames have no parameters of their own.

    Source: yuv4mpeg(5): a line of parameters; each frame is `FRAME`, parameters, a line feed, the planes.
    """
    head = at(0, 512)
    start = head.find(b"\n") + 1
    said = {word[:1]: word[1:].decode("latin-1") for word in head[: start - 1].split(b" ")[1:]}
    layout = _Y4M_LAYOUT.match(said.get(b"C", "420"))
    numbers = [said.get(name, "") for name in (b"W", b"H")]
    if not layout or not all(map(str.isdigit, numbers)) or not head.startswith(b"FRAME\n", start):
        return False
    width, height = map(int, numbers)
    across, down = _Y4M_CHROMA[layout[1]]
    chroma = -(-width // across) * -(-height // down) * 2 if across else 0
    samples = width * height * (2 if layout[2] else 1) + chroma
    return bool((size - start) % (len(b"FRAME\n") + samples * (2 if layout[3] else 1)))


_Y4M_CHROMA = {"420": (2, 2), "422": (2, 1), "411": (4, 1), "444": (1, 1), "mono": (0, 0)}
"""By how much the chroma planes are smaller, across and down; 0: there are none."""
_Y4M_LAYOUT = re.compile(r"(420|422|411|444|mono)(?:jpeg|mpeg2|paldv)?(alpha)?(p?\d+)?$")
"""Chroma, a plane of transparency, more than 8 bits."""


def _transport_stream_ends_early(at: At, size: int) -> bool:
    """Whether it ends within a packet of 188 bytes, or of 192 with the time code of Blu-ray and AVCHD.

    Source: ISO/IEC 13818-1, 2.4.3.2: each starts with 47.
    """
    for packet, sync in ((188, 0), (192, 4)):
        if all(at(sync + n * packet, 1) == b"\x47" for n in range(3)):
            return bool(size % packet)
    return False


_CONTAINERS: tuple[tuple[int, tuple[bytes, ...], Callable[[At, int], bool]], ...] = (
    (4, (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp"), _boxes_end_early),
    (0, (b"RIFF",), _riff_ends_early),
    (0, (b"\x1aE\xdf\xa3",), _ebml_ends_early),
    (0, (bytes.fromhex("3026b2758e66cf11"),), _asf_ends_early),
    (0, (b"\x89PNG\r\n\x1a\n",), _png_ends_early),
    (0, (b"GIF8",), _gif_ends_early),
    (0, (b"\xff\xd8\xff",), _jpegs_end_early),
    (0, (b"OggS",), _ogg_ends_early),
    (0, (b"FLV",), _flv_ends_early),
    (0, (MAGIC,), _ser_ends_early),
    (0, (b"\x1f\x07\0",), _dv_ends_early),
    (0, (b"YUV4MPEG2 ",), _y4m_ends_early),
    (0, (b"\x47",), _transport_stream_ends_early),
    (4, (b"\x47",), _transport_stream_ends_early),
)
"""Offset of the first bytes, what they are, and who knows where such a file ends."""
