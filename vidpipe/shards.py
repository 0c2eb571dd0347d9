"""Shards of a run and their scheduling on workers, with backup copies of stragglers (speculative execution).

A shard is independent of other shards and never touches the ledger: it reads videos or features and returns
what is to be recorded. So it may be computed anywhere that sees the same files, more than once, by a worker
that then dies. Only the run itself commits, a shard at a time, in order of completion.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from statistics import median
from typing import Any, Protocol

from vidpipe.errors import VidpipeError
from vidpipe.ports import Ports
from vidpipe.ports.coordination import R, S

log = logging.getLogger(__name__)

TRIES = 3
"""A shard whose workers die is given up after so many."""
LATE = 3.0
"""A shard that takes so many times as long as its like is late."""
LATE_MIN_S = 30.0
"""But not before this: a second copy of a short one is not worth its start."""


class InProcessExecutor:
    """Shard executor of this process: one shard after the other, each on all cores."""

    def compute(
        self, ports: Ports, work: Callable[[Ports, S], R], shards: Sequence[S]
    ) -> Iterator[tuple[S, R]]:
        """Yield each shard with its result."""
        for shard in shards:
            yield shard, work(ports, shard)


class Pending(Protocol):
    """Protocol of a future, as Prefect's task runners return it."""

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        """Call the function with this future when it has a result or an error."""
        ...

    def result(self) -> Any:
        """Return the result, or raise the error."""
        ...


def gather(
    submit: Callable[[int], Pending], costs: Sequence[float], max_workers: int, *, poll_s: float = 1.0
) -> Iterator[tuple[int, Any]]:
    """Yield results of shards from many workers in order of completion.

    A shard whose worker died is given to another one. So is a late one, when no shard waits and a worker is
    free; then the first copy to finish counts.

    Args:
        submit: Starts the computation of the shard with this number; called again for another copy.
        costs: Expected cost of each shard, in any unit.
        max_workers: Number of shards that run at once.
        poll_s: How often stragglers are looked for.

    Yields:
        The number and the result of each shard, once.

    Raises:
        VidpipeError: What a shard raised.
        Exception: A shard was lost three times; the engine's last error.
    """
    scheduler = _Scheduler(submit, costs, max_workers)
    while scheduler.waiting or scheduler.running:
        scheduler.submit_waiting()
        try:
            number, pending = scheduler.finished.get(timeout=poll_s)
        except Empty:
            continue
        if number in scheduler.running:  # else its other copy was quicker
            try:
                result = pending.result()
            except VidpipeError:
                raise
            except Exception as error:
                scheduler.lost(number, error)
            else:
                scheduler.done(number)
                yield number, result


@dataclass(slots=True)
class _Running:
    """A copy of a shard that a worker is computing."""

    since: float = field(default_factory=time.monotonic)
    tries: int = 1
    copies: int = 1


class _Scheduler:
    """Assigns shards to workers, the most expensive first, and collects results."""

    def __init__(self, submit: Callable[[int], Pending], costs: Sequence[float], max_workers: int) -> None:
        self._submit, self._costs, self._max_workers = submit, costs, max_workers
        self._rates: list[float] = []
        """Seconds for a unit of cost, of each shard that is done."""
        self.waiting = sorted(range(len(costs)), key=lambda n: costs[n])
        """By rising cost: the most expensive is taken first, so that it does not start last."""
        self.running: dict[int, _Running] = {}
        self.finished: SimpleQueue[tuple[int, Pending]] = SimpleQueue()

    def submit_waiting(self) -> None:
        """Keep all `max_workers` busy; when no shard waits, by a backup copy of a late one."""
        while self.waiting and self._has_free_worker():
            number = self.waiting.pop()
            self.running[number] = _Running()
            self._start(number)
        for number, shard in self.running.items():
            if self._has_free_worker() and shard.copies == 1 and self._is_late(number, shard):
                log.warning("shard %d is late: a second worker tries it, too", number + 1)
                shard.copies += 1
                self._start(number)

    def done(self, number: int) -> None:
        """Take a shard's first result; other copies of it are ignored."""
        shard = self.running.pop(number)
        self._rates.append((time.monotonic() - shard.since) / max(self._costs[number], 1e-9))

    def lost(self, number: int, error: Exception) -> None:
        """Resubmit a shard whose copy was lost, unless another copy runs; after the last try, raise."""
        shard = self.running[number]
        shard.copies -= 1
        if shard.copies:
            return
        if shard.tries == TRIES:
            if isinstance(error, StopIteration):  # within a generator it would lose its own words
                raise RuntimeError(f"shard {number + 1}: its worker raised {error!r}") from error
            raise error
        log.warning("shard %d was lost (%s): another worker gets it", number + 1, error)
        self.running[number] = _Running(tries=shard.tries + 1)
        self._start(number)

    def _start(self, number: int) -> None:
        self._submit(number).add_done_callback(lambda pending: self.finished.put((number, pending)))

    def _has_free_worker(self) -> bool:
        return sum(shard.copies for shard in self.running.values()) < self._max_workers

    def _is_late(self, number: int, shard: _Running) -> bool:
        if not self._rates:
            return False
        usual_s = median(self._rates) * self._costs[number]
        return time.monotonic() - shard.since > max(LATE_MIN_S, LATE * usual_s)
