"""Recording of a run: takes the lease, writes its row in `runs`, and publishes the snapshot at its end."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from vidpipe.errors import StillChanging, VidpipeError
from vidpipe.logs import RUN
from vidpipe.ports import Ports

log = logging.getLogger(__name__)

LEASE, TRAINING, PROMOTION = "lease", "training", "promotion"
LOCKS = {
    "ingest": LEASE, "extract": LEASE, "classify": LEASE, "nightly": LEASE, "retry": LEASE, "gc": LEASE,
    "forget": LEASE, "label": LEASE, "label-issues": TRAINING, "train": TRAINING, "tune": TRAINING,
    "promote": PROMOTION, "rollback": PROMOTION, "freeze-eval": PROMOTION,
}  # fmt: skip
"""Where each kind of run works: under the lease, or under a lock beside it."""


@dataclass(slots=True)
class RunLog:
    """Counters of a running run, which become its row in `runs`."""

    run_id: int
    started: float = field(default_factory=time.monotonic)
    status: str = "ok"
    videos: int = 0
    frames: int = 0
    failed: int = 0
    read_bytes: int = 0
    """Of videos that were read to be hashed."""
    written_bytes: int = 0
    """Of parts."""
    failed_again: int = 0
    """Of `failed`, those that had failed before: reported once, they trip no budget twice."""
    waiting: int = 0
    """Files that still change, left to the next night: no failures."""
    detail: dict[str, Any] = field(default_factory=dict)
    only: bool = True
    """No other run of its sort is alive: what such runs left open is nobody's."""

    def count_failures(self, error_classes: Sequence[str], *, again: bool) -> None:
        """Count failures of one chunk or shard; files that still change are counted separately."""
        waiting = sum(name == StillChanging.__name__ for name in error_classes)
        self.waiting += waiting
        self.failed += len(error_classes) - waiting
        self.failed_again += len(error_classes) - waiting if again else 0

    @property
    def seconds(self) -> float:
        """Seconds since the start, to the millisecond."""
        return round(time.monotonic() - self.started, 3)


class Result:
    """Base class of the steps' results: dataclasses that print as JSON."""

    def to_dict(self) -> dict[str, Any]:
        """The result as plain values, under the keys that `--json` documents."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


@contextmanager
def recorded(ports: Ports, kind: str) -> Iterator[RunLog]:
    """Context manager of a run: takes the lease, or the verb's own lock, and writes a row in `runs`.

    The outermost run publishes at its end, whatever its end was: what succeeded is there to be read.

    Raises:
        LeaseHeld: The kind needs the lease, and another process is at work.
    """
    nested = ports.lease.is_mine
    with _place(ports, kind) as only:
        ended = [k for k in LOCKS if LOCKS[k] == LOCKS[kind]] if only and not nested else []
        run = RunLog(ports.ledger.runs.start(kind, ended=ended), only=only)
        outer = RUN.set((run.run_id, kind))
        try:
            yield run
        except BaseException as error:
            run.status = "failed"
            run.detail["error"] = f"{type(error).__name__}: {error}"
            _close_quietly(ports, run, publish=not nested)
            raise
        else:
            _close(ports, run, publish=not nested)
        finally:
            RUN.reset(outer)


@contextmanager
def _place(ports: Ports, kind: str) -> Iterator[bool]:
    """The lock of a verb: the lease or its own; and whether it is exclusive."""
    lock = LOCKS[kind]
    if lock == LEASE:
        with ports.lease.hold(kind, wait=ports.limits.wait_for_lease):
            yield True
    else:
        with ports.lease.beside(lock, shared=lock == TRAINING) as empty:
            yield empty


def _close(ports: Ports, run: RunLog, *, publish: bool) -> None:
    moved = {"read_bytes": run.read_bytes, "written_bytes": run.written_bytes}
    moved |= {"waiting": run.waiting} if run.waiting else {}
    ports.ledger.runs.finish(
        run.run_id, status=run.status, videos=run.videos, frames=run.frames, failed=run.failed,
        seconds=run.seconds, detail=run.detail | moved,
    )  # fmt: skip
    if publish:
        ports.warehouse.publish()


def _close_quietly(ports: Ports, run: RunLog, *, publish: bool) -> None:
    """Finish a failed run's row; errors meanwhile are logged, so that they do not hide the first one."""
    try:
        _close(ports, run, publish=publish)
    except VidpipeError as error:
        log.warning("run %s could not be closed: %s", run.run_id, error)
