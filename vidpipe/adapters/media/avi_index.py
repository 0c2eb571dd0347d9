"""Chunks that an AVI's index lists: where the file has a hole, ffmpeg reads fewer, and says nothing."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import BinaryIO

ENTRY_BYTES = 16
MOST_BYTES = 1 << 26
"""Of an index: four million chunks."""
_VIDEO = re.compile(rb"(?P<stream>\d\d)d[bc]")


def indexed_chunks(file: Path, stream: int) -> int:
    """Number of chunks with video of a stream in the index of an AVI's first RIFF; 0 without an index.

    Empty chunks, which stand for a dropped frame, are no packets.
    Source: the AVI RIFF file reference, AVIOLDINDEX: id, flags, offset, size, four bytes each.
    """
    with file.open("rb") as opened:
        index = _index(opened)
    entries = (index[at : at + ENTRY_BYTES] for at in range(0, len(index) - ENTRY_BYTES + 1, ENTRY_BYTES))
    return sum(
        bool((video := _VIDEO.match(entry)) and int(video["stream"]) == stream and any(entry[12:16]))
        for entry in entries
    )


def _index(opened: BinaryIO) -> bytes:
    """The chunk `idx1` of the first RIFF; empty where there is none, or the chain of chunks is broken."""
    if opened.read(4) != b"RIFF":
        return b""
    opened.seek(12)
    while len(header := opened.read(8)) == 8:
        size = int.from_bytes(header[4:], "little")
        if header[:4] == b"idx1":
            return opened.read(min(size, MOST_BYTES))
        if header[:4] not in (b"LIST", b"JUNK", b"JUNQ", b"PAD "):
            break
        opened.seek(size + size % 2, os.SEEK_CUR)
    return b""
