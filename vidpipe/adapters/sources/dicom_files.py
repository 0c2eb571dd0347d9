"""DICOM files of a folder: which of them hold several frames, and so are videos; most are single pictures.

A study is a folder of hundreds of stills and slices with a few loops among them, often without suffixes.
So the number of frames is looked up in the first bytes, without reading the file as DICOM.
"""

from __future__ import annotations

import re
from pathlib import Path

HEAD_BYTES = 1 << 16
_FRAMES = re.compile(
    rb"\x28\0\x08\0(?:IS(?P<explicit>..)|(?P<implicit>..)\0\0)|\0\x28\0\x08IS(?P<big_endian>..)", re.S
)
"""Number of Frames (0028,0008) with the size of its value. Source: DICOM PS3.5 7.1."""
_PIXELS = (b"\xe0\x7f\x10\0", b"\x7f\xe0\0\x10")
"""Pixel Data (7FE0,0010): the header ends here."""


def is_dicom_file(file: Path) -> bool:
    """Whether the first bytes are those of DICOM; the index of a medium (DICOMDIR) is none of its files."""
    return file.name.upper() != "DICOMDIR" and _head(file, 132)[128:] == b"DICM"


def holds_several_frames(file: Path) -> bool:
    """Whether the header says so; also where it does not fit into the first bytes, and more must be read."""
    head = _head(file, HEAD_BYTES)
    if said := _FRAMES.search(head):
        explicit = said["explicit"] or said["implicit"]
        size = int.from_bytes(explicit, "little") if explicit else int.from_bytes(said["big_endian"])
        value = head[said.end() : said.end() + min(size, 12)].strip(b" \0")
        return not value.isdigit() or int(value) > 1
    return len(head) == HEAD_BYTES and not any(mark in head for mark in _PIXELS)


def _head(file: Path, count: int) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(count)
    except OSError:
        return b""
