"""Parser of animated WebP: size, frames and duration, which ffprobe up to 8.1 does not read.

Source: https://developers.google.com/speed/webp/docs/riff_container (VP8X, ANMF).
"""

from __future__ import annotations

from pathlib import Path

from vidpipe.errors import Unreadable
from vidpipe.records.videos import MediaFacts

_ANIMATION = 0x02
MAX_CHUNKS = 1_000_000


def is_animated(head: bytes) -> bool:
    """Whether a file with this head is a WebP picture with the animation flag."""
    extended = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X"
    return extended and len(head) > 20 and bool(head[20] & _ANIMATION)


def webp_facts(file: Path, head: bytes) -> MediaFacts:
    """Metadata of an animated WebP.

    Raises:
        Unreadable: It has no frame.
    """
    durations = _durations_ms(file)
    if not durations:
        raise Unreadable(f"{file.name} is an animated WebP without a frame.")
    width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27))
    total_s = sum(durations) / 1000
    return MediaFacts(
        container="webp_anim", video_codec="webp", width_px=width, height_px=height, rotation=0,
        source_fps=len(durations) / total_s if total_s else None, is_vfr=len(set(durations)) > 1,
        duration_s=total_s or None, frames_expected=len(durations), stream_index=0, stream_count=1,
        display_width_px=width, display_height_px=height,
    )  # fmt: skip


def _durations_ms(file: Path) -> list[int]:
    """Each frame's duration, from the headers of the ANMF chunks; a chunk cut off at the end counts."""
    durations: list[int] = []
    with file.open("rb") as stream:
        stream.seek(12)
        for _ in range(MAX_CHUNKS):
            header = stream.read(8)
            if len(header) < 8:
                break
            size = int.from_bytes(header[4:], "little")
            start = stream.tell()
            if header[:4] == b"ANMF" and len(frame := stream.read(16)) == 16:
                durations.append(int.from_bytes(frame[12:15], "little"))
            stream.seek(start + size + size % 2)
    return durations
