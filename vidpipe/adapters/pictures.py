"""Cache of pictures of videos, for the browse page: bounded in size (LRU), one file for each picture.

    pictures/<first two digits>/<video_id>.<kind>.jpg

A picture is of bytes, not of a path: it is made once, wherever the video moves.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from vidpipe.adapters.atomic import replacing
from vidpipe.errors import StorageFailed

LIMIT_BYTES = 1 << 30
"""Some 100,000 stills, or 10,000 filmstrips."""
SWEPT_TO = 0.9
"""Room is made down to this share of the bound, so that the folder is not read for every picture."""
KEPT_S = 90 * 24 * 3600.0
"""Pictures that nobody has looked at for so long are collected."""
_TOUCH_S = 3600.0
"""How exact the time of last use is: not every look writes to the disk."""


class Pictures:
    """Folder of cached pictures of one home."""

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES, variant: str = "") -> None:
        """Prepare; pictures of another `variant`, such as `.blurred`, lie beside these."""
        self._folder, self._limit, self._variant = folder, limit_bytes, variant
        self._held: int | None = None
        self._guard = threading.Lock()

    def get(self, video_id: str, kind: str) -> bytes | None:
        """The cached JPEG, if there is one; it counts as used now."""
        file = self._file(video_id, kind)
        try:
            if time.time() - file.stat().st_mtime > _TOUCH_S:
                os.utime(file)
            return file.read_bytes()
        except OSError:  # not there, just evicted, or a home that may not be read: it is made anew
            return None

    def put(self, video_id: str, kind: str, jpeg: bytes) -> None:
        """Keep a JPEG; others are evicted, the least recently used first, where it is one too many.

        Raises:
            StorageFailed: The disk is full or read-only.
        """
        file = self._file(video_id, kind)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(file) as temp:
                temp.write_bytes(jpeg)
            with self._guard:
                self._held = self._counted() if self._held is None else self._held + len(jpeg)
                if self._held > self._limit:
                    self._held = self._evicted()
        except OSError as error:
            raise StorageFailed(
                f"cannot write {file}: {error.strerror}.", next_step="free space; pictures are not needed."
            ) from None

    def forget(self, video_id: str) -> int:
        """Remove the pictures of a video; returns their number.

        Raises:
            StorageFailed: One cannot be removed.
        """
        pictures = list((self._folder / video_id[:2]).glob(f"*{video_id}.*"))  # unfinished ones, too
        try:
            for picture in pictures:
                picture.unlink(missing_ok=True)
        except OSError as error:
            raise StorageFailed(
                f"cannot remove pictures in {self._folder}: {error.strerror}.",
                next_step="make them writable, then forget again.",
            ) from None
        return len(pictures)

    def sweep(self, older_than_s: float) -> tuple[int, int]:
        """Delete unfinished pictures, and those not looked at for 90 days: (files, bytes)."""
        files = size_bytes = 0
        for picture, size, used_at in self._all():
            kept_s = older_than_s if picture.name.startswith(".") else KEPT_S
            if time.time() - used_at >= kept_s:
                with suppress(FileNotFoundError):
                    picture.unlink()
                    files, size_bytes = files + 1, size_bytes + size
        return files, size_bytes

    def _file(self, video_id: str, kind: str) -> Path:
        return self._folder / video_id[:2] / f"{video_id}.{kind}{self._variant}.jpg"

    def _all(self) -> Iterator[tuple[Path, int, float]]:
        """Every file with its size and time of last use."""
        for picture in self._folder.glob("*/*"):
            with suppress(FileNotFoundError):
                found = picture.stat()
                yield picture, found.st_size, found.st_mtime

    def _counted(self) -> int:
        return sum(size for _, size, _ in self._all())

    def _evicted(self) -> int:
        """Make room; returns the bytes that are left."""
        pictures = sorted(self._all(), key=lambda found: found[2])
        held = sum(size for _, size, _ in pictures)
        for picture, size, _ in pictures:
            if held <= self._limit * SWEPT_TO:
                break
            with suppress(FileNotFoundError):
                picture.unlink()
            held -= size
        return held
