"""SER files of astronomical cameras: frame rate, byte order and length, as ffmpeg does not read them.

    178 bytes of header | count pictures | count times of 8 bytes, or nothing

ffmpeg plays every SER at 25 frames/s. The times behind the pictures say the true rate: their mean is taken,
since ffmpeg gives the frames even times. Without them the rate is assumed.

Of 16 bits the header's flag says "little-endian: 1", but most programs write 0 there and mean little-endian.
So the pictures decide: in the right order neighbours are alike.

Source: Grischa Hahn, "SER format description version 3"; https://siril.readthedocs.io/en/stable/file-formats/SER.html.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MAGIC = b"LUCAM-RECORDER"
HEADER_BYTES = 178
TICKS_PER_S = 10_000_000
"""Times are counted in 100 ns."""
LOOKED_AT_BYTES = 1 << 16
_COLOURS = (100, 101)
_LITTLE, _BIG = "0x10003159", "0x59310010"
"""ffmpeg's tags of gray16le and gray16be. Source: libavcodec/raw.c."""


@dataclass(frozen=True, slots=True)
class SerHeader:
    """SER header: number, size and depth of the pictures."""

    count: int
    picture_bytes: int
    is_deep_grey: bool

    @classmethod
    def parse(cls, head: bytes) -> SerHeader | None:
        """None where it is no SER."""
        if not head.startswith(MAGIC) or len(head) < HEADER_BYTES:
            return None
        colour, _, width, height, bits, count = struct.unpack_from("<6I", head, 18)
        planes, sample_bytes = 3 if colour in _COLOURS else 1, 1 if bits <= 8 else 2
        return cls(count, width * height * planes * sample_bytes, colour == 0 and sample_bytes == 2)

    @property
    def end(self) -> int:
        """Offset behind the last picture."""
        return HEADER_BYTES + self.count * self.picture_bytes


def is_ser(head: bytes) -> bool:
    """Whether a file with this head is a SER."""
    return SerHeader.parse(head) is not None


def ser_options(file: Path, head: bytes) -> dict[str, str]:
    """ffmpeg input options for the frame rate and byte order of a SER; none for other files."""
    rate, tag = ser_rate(file, head), ser_tag(file, head)
    options = {} if rate is None else {"framerate": f"{rate:.6f}"}
    return options if tag is None else {**options, "c:v": "rawvideo", "tag:v": tag}


def ser_rate(file: Path, head: bytes) -> float | None:
    """Frame rate from the first and the last timestamp; None where there are none, or it is no SER."""
    header = SerHeader.parse(head)
    if header is None or header.count < 2 or file.stat().st_size < header.end + 8 * header.count:
        return None
    with file.open("rb") as stream:
        stream.seek(header.end)
        times = np.frombuffer(stream.read(8 * header.count), "<i8")
    first, last = int(times[0]), int(times[-1])
    return (header.count - 1) * TICKS_PER_S / (last - first) if last > first > 0 else None


def ser_tag(file: Path, head: bytes) -> str | None:
    """FourCC of the byte order of 16-bit grey, the one in which neighbouring pixels are most alike."""
    header = SerHeader.parse(head)
    if header is None or not header.is_deep_grey:
        return None
    with file.open("rb") as stream:
        stream.seek(HEADER_BYTES)
        pixels = stream.read(min(header.picture_bytes, LOOKED_AT_BYTES) // 2 * 2)
    little, big = (np.abs(np.diff(np.frombuffer(pixels, f"{order}u2").astype(float))).sum() for order in "<>")
    return _LITTLE if little <= big else _BIG
