"""HTML report files in `reports/`, one for each reported run."""

from __future__ import annotations

from pathlib import Path

from vidpipe.adapters.atomic import delete_old, replacing
from vidpipe.errors import StorageFailed

KEPT_S = 90 * 24 * 3600.0
"""Pages written longer ago are collected."""


class Reports:
    """Folder of HTML reports of one home."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def forget(self, video_id: str) -> int:
        """Remove the pages with pictures of a video; returns their number. `vidpipe report RUN` rewrites one.

        Raises:
            StorageFailed: A page cannot be removed.
        """
        sign = f'data-video="{video_id}"'.encode()
        try:
            pages = [page for page in self._folder.glob("*.html") if sign in page.read_bytes()]
            for page in pages:
                page.unlink()
        except OSError as error:
            raise StorageFailed(
                f"cannot remove pages of {self._folder}: {error.strerror}.",
                next_step="make them writable, then forget again.",
            ) from None
        return len(pages)

    def sweep(self, older_than_s: float) -> tuple[int, int]:
        """Delete unfinished pages and those older than 90 days: (files, bytes)."""
        unfinished = delete_old(self._folder.glob(".*.html.*.tmp"), older_than_s)
        old = delete_old(self._folder.glob("*.html"), KEPT_S)
        return unfinished[0] + old[0], unfinished[1] + old[1]

    def write(self, run_id: int, page: str) -> Path:
        """Write a run's page atomically; returns its path.

        Raises:
            StorageFailed: The disk is full or read-only.
        """
        file = self._folder / f"{run_id}.html"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with replacing(file) as temp:
                temp.write_text(page, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise StorageFailed(
                f"cannot write {file}: {error.strerror}.", next_step="free space, then vidpipe report."
            ) from None
        return file
