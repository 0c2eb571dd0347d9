"""Matroska with uncompressed pictures: what ffmpeg reads from a pipe, each frame with its own time.

Source: RFC 8794 (EBML), RFC 9559 (Matroska), V_UNCOMPRESSED in its codec mappings.
"""

from __future__ import annotations


def element(name: str, payload: bytes) -> bytes:
    """An EBML element: id (hex), size in eight bytes, payload. Source: RFC 8794."""
    return bytes.fromhex(name) + (len(payload) | 1 << 56).to_bytes(8) + payload


def _number(name: str, value: int) -> bytes:
    return element(name, value.to_bytes(8))


def matroska_head(width: int, height: int, aspect: tuple[int, int], fourcc: bytes) -> bytes:
    """Up to the first frame: one track of uncompressed pictures, times in microseconds. Source: RFC 9559."""
    video = (
        _number("b0", width) + _number("ba", height) + _number("54b0", width * aspect[0])
        + _number("54ba", height * aspect[1]) + element("2eb524", fourcc)
    )  # fmt: skip
    track = (
        _number("d7", 1) + _number("73c5", 1) + _number("83", 1) + _number("9c", 0)
        + element("86", b"V_UNCOMPRESSED") + element("e0", video)
    )  # fmt: skip
    ebml = element("4282", b"matroska") + _number("4287", 4) + _number("4285", 2)
    endless_segment = bytes.fromhex("18538067" + "01ffffffffffffff")
    return (
        element("1a45dfa3", ebml) + endless_segment + element("1549a966", _number("2ad7b1", 1000))
        + element("1654ae6b", element("ae", track))
    )  # fmt: skip


def matroska_frame(time_s: float, picture: bytes) -> bytes:
    """A cluster with one frame."""
    block = element("a3", b"\x81\0\0\x80" + picture)
    return element("1f43b675", _number("e7", round(time_s * 1e6)) + block)
