"""Labels that wait to be written, in `labels/waiting.csv`, a CSV that `vidpipe label` reads as well.

Who labels in the browse page never waits for a run that holds the lease: a label is first on the disk here,
and one file holds those of all browse pages. Each change replaces the file under a lock on its folder.
"""

from __future__ import annotations

import csv
import fcntl
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import astuple, fields
from io import StringIO
from pathlib import Path

from vidpipe.adapters.atomic import replacing, sweep_unfinished, sync
from vidpipe.errors import StorageFailed
from vidpipe.records.labels import WaitingLabel

COLUMNS = tuple(field.name for field in fields(WaitingLabel))


class WaitingLabels:
    """File of labels that wait, at most one for each collection and video."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def all(self) -> list[WaitingLabel]:
        """Labels that wait, in the order in which they were given.

        Raises:
            StorageFailed: The file cannot be read, or somebody has changed its columns.
        """
        try:
            text = self.file.read_bytes().decode(errors="surrogateescape")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _failed("read", self.file, error.strerror) from None
        try:
            return [WaitingLabel(**row) for row in csv.DictReader(StringIO(text, newline=""), strict=True)]
        except (TypeError, csv.Error):
            why = f"its columns are not {', '.join(COLUMNS)}"
            raise _failed("read", self.file, why) from None

    def put(self, label: WaitingLabel) -> WaitingLabel | None:
        """Let a label wait; returns the one that waited for the same video until now.

        Raises:
            StorageFailed: The disk is full or read-only.
        """
        with self._changing() as waiting:
            before = next((w for w in waiting if w.of == label.of), None)
            waiting[:] = [*(w for w in waiting if w.of != label.of), label]
            return before

    def take_back(self, labels: Collection[WaitingLabel]) -> int:
        """Remove these labels where they still wait as they are; returns how many did.

        Raises:
            StorageFailed: The disk is full or read-only.
        """
        with self._changing() as waiting:
            kept = [w for w in waiting if w not in labels]
            taken = len(waiting) - len(kept)
            waiting[:] = kept
            return taken

    def forget(self, video_id: str) -> int:
        """Remove the labels that wait for a video; returns their number.

        Raises:
            StorageFailed: The disk is full or read-only.
        """
        return self.take_back([w for w in self.all() if w.video_id == video_id])

    def sweep(self, older_than_s: float) -> tuple[int, int]:
        """Remove what a kill left of writing the file: (files, bytes).

        Raises:
            StorageFailed: The folder is read-only.
        """
        try:
            return sweep_unfinished(self.file, older_than_s)
        except OSError as error:
            raise _failed("clean up beside", self.file, error.strerror) from None

    @contextmanager
    def _changing(self) -> Iterator[list[WaitingLabel]]:
        """Lock the file of waiting labels, give its list to be changed, and write it back if it was."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.file.parent, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                waiting = self.all()
                before = list(waiting)
                yield waiting
                if waiting != before:
                    self._write(waiting)
            finally:
                os.close(descriptor)
        except OSError as error:
            if isinstance(error, StorageFailed):
                raise
            raise _failed("write", self.file, error.strerror) from None

    def _write(self, waiting: list[WaitingLabel]) -> None:
        if not waiting:
            self.file.unlink(missing_ok=True)
            return
        text = StringIO(newline="")
        lines = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)  # a lone CR, too
        lines.writerow(COLUMNS)
        lines.writerows(astuple(label) for label in waiting)
        with replacing(self.file) as temp:
            temp.write_bytes(text.getvalue().encode(errors="surrogateescape"))
            sync(temp)


def _failed(what: str, file: Path, why: str | None) -> StorageFailed:
    return StorageFailed(f"cannot {what} {file}: {why}.", next_step="set it right, or move the file away.")
