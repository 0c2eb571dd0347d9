"""Labels of one browse page: given at once, undone in turn, written together once nobody labels any more."""

from __future__ import annotations

import logging
import threading

from vidpipe.errors import LeaseHeld, VidpipeError
from vidpipe.ports import Ports
from vidpipe.records.labels import WaitingLabel
from vidpipe.steps.waiting_labels import checked_label, take_back, wait_with, write_waiting

log = logging.getLogger(__name__)

IDLE_S = 20.0
"""After so long without a label, what waits is written: each writing publishes the warehouse."""


class Labelling:
    """Labelling session of one process: gives labels, undoes them, and has them written."""

    def __init__(self, ports: Ports, *, idle_s: float = IDLE_S) -> None:
        self._ports, self._idle_s = ports, idle_s
        self._source = f"browse: {ports.actor}"
        self._given: list[tuple[WaitingLabel, WaitingLabel | None]] = []
        self._guard = threading.RLock()
        self._timer: threading.Timer | None = None
        self._held = ""

    def give(self, collection: str, video_id: str, label: str) -> tuple[str, bool]:
        """Let a label wait to be written; returns it, and whether the video had another one.

        Raises:
            VidpipeError: As `wait_with`.
        """
        text = checked_label(label)
        with self._guard:
            given = wait_with(self._ports, collection, video_id, text, self._source)
            if given is None:
                return text, False
            self._given.append(given)
            self._write_later()
            return given[0].label, True

    def undo(self) -> WaitingLabel | None:
        """Take back the last label that was given here; None if there is none.

        Raises:
            LeaseHeld: It has been written, and another run is at work.
        """
        with self._guard:
            if not self._given:
                return None
            given, before = self._given[-1]
            take_back(self._ports, given, before)
            self._given.pop()
            return given

    def write(self) -> int:
        """Write what waits; returns how many labels.

        Raises:
            LeaseHeld: Another run is at work; they go on waiting.
        """
        with self._guard:
            try:
                written = write_waiting(self._ports)
            except VidpipeError as error:
                self._held = error.message
                self._write_later()
                raise
            self._held = ""
            return written

    def state(self) -> dict[str, object]:
        """Number of labels that wait and that can be undone, and the reason why the former still wait."""
        waiting = len(self._ports.waiting_labels.all())
        return {"waiting": waiting, "undoable": len(self._given), "held": self._held if waiting else ""}

    def close(self) -> int:
        """Write what waits, if the lease is free; returns how many labels go on waiting."""
        with self._guard:
            self.write_quietly()
            if self._timer:
                self._timer.cancel()
            return len(self._ports.waiting_labels.all())

    def _write_later(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = threading.Timer(self._idle_s, self.write_quietly)
        self._timer.daemon = True
        self._timer.start()

    def write_quietly(self) -> None:
        """Write the waiting labels to the ledger, unless another run holds the lease."""
        try:
            self.write()
        except LeaseHeld:
            pass  # said on the page
        except VidpipeError as error:
            log.warning("%s", error)
