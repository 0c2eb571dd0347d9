"""A verb's pass, recorded: the lease, the row in `runs`, and the published snapshot at its end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from vidpipe.errors import RegistryUnreachable, VidpipeError
from vidpipe.ports import Ports

log = logging.getLogger(__name__)

T = TypeVar("T")
RETRY_DELAYS_S = (1.0, 5.0)
"""After what is away for longer, a person or the next night is the better retry."""


@dataclass(slots=True)
class RunLog:
    """What a run counts while it goes; becomes its row in `runs`."""

    run_id: int
    started: float = field(default_factory=time.monotonic)
    status: str = "ok"
    videos: int = 0
    frames: int = 0
    failed: int = 0
    failed_again: int = 0
    """Of `failed`, those that had failed before: reported once, they trip no budget twice."""
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Since the start, to the millisecond."""
        return round(time.monotonic() - self.started, 3)


class Report:
    """Base of the steps' reports: dataclasses that print as JSON."""

    def to_dict(self) -> dict[str, Any]:
        """The keys that `--json` promises."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


@contextmanager
def recorded(ports: Ports, kind: str, *, alone: bool = True) -> Iterator[RunLog]:
    """Run a verb: with `alone` under the lease, always with a row in `runs`.

    The outermost run publishes at its end, whatever its end was: what succeeded is there to be read.

    Raises:
        LeaseHeld: `alone`, and another process is at work.
    """
    nested = ports.lease.is_mine
    lease = ports.lease.hold(kind, wait=ports.limits.wait_for_lease) if alone else nullcontext()
    with lease:
        run = RunLog(ports.ledger.start_run(kind, alone=alone and not nested))
        try:
            yield run
        except BaseException as error:
            run.status = "failed"
            run.detail["error"] = f"{type(error).__name__}: {error}"
            _close_quietly(ports, run, publish=not nested)
            raise
        _close(ports, run, publish=not nested)


def with_retries(step: Callable[[], T], delays_s: Sequence[float] = RETRY_DELAYS_S) -> T:
    """Run a step, again after each delay while MLflow is away; the ledger knows what is done.

    A locked ledger has been waited for already.

    Raises:
        RegistryUnreachable: Still, when the delays are used up.
    """
    for delay_s in delays_s:
        try:
            return step()
        except RegistryUnreachable as error:
            log.warning("%s Trying again in %.0f s.", error.message, delay_s)
            time.sleep(delay_s)
    return step()


def _close(ports: Ports, run: RunLog, *, publish: bool) -> None:
    ports.ledger.finish_run(
        run.run_id, status=run.status, videos=run.videos, frames=run.frames, failed=run.failed,
        seconds=run.seconds, detail=run.detail,
    )  # fmt: skip
    if publish:
        ports.warehouse.publish()


def _close_quietly(ports: Ports, run: RunLog, *, publish: bool) -> None:
    """The error on its way out matters more than one met while tidying up."""
    try:
        _close(ports, run, publish=publish)
    except VidpipeError as error:
        log.warning("run %s could not be closed: %s", run.run_id, error)
