"""Shards: the pieces that a run's work is cut into, and who computes them.

A shard needs nothing of its neighbours and never touches the ledger: it reads videos or features and gives
back what is to be recorded. So it may be computed anywhere that sees the same files, more than once, by
somebody who then dies. Only the run itself commits, a shard at a time, in whatever order they come.
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
from vidpipe.ports import Ports, R, S

log = logging.getLogger(__name__)

TRIES = 3
"""A shard whose workers die is given up after so many."""
LATE = 3.0
"""A shard that takes so many times as long as its like is late."""
LATE_MIN_S = 30.0
"""But not before this: a second copy of a short one is not worth its start."""


class Here:
    """This process computes all shards itself, one after the other; each uses all cores."""

    def compute(
        self, ports: Ports, work: Callable[[Ports, S], R], shards: Sequence[S]
    ) -> Iterator[tuple[S, R]]:
        """Each shard with its result."""
        for shard in shards:
            yield shard, work(ports, shard)


class Pending(Protocol):
    """A result to come, as engines give it."""

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        """Call it, with this, when the result is there, or never will be."""
        ...

    def result(self) -> Any:
        """The result, or the error."""
        ...


def gather(
    submit: Callable[[int], Pending], costs: Sequence[float], max_workers: int, *, poll_s: float = 1.0
) -> Iterator[tuple[int, Any]]:
    """Results of shards from many workers, as they come.

    A shard whose worker died is given to another one; so is a late one, when all others are out and a lane is
    free, and then the first copy to come back counts.

    Args:
        submit: Starts the computation of the shard with this number; called again for another copy.
        costs: What each shard is expected to cost, in any unit.
        max_workers: How many shards are out at once.
        poll_s: How often stragglers are looked for.

    Yields:
        The number and the result of each shard, once.

    Raises:
        VidpipeError: What a shard raised.
        Exception: A shard was lost three times; the engine's last error.
    """
    scheduler = _Scheduler(submit, costs, max_workers)
    while scheduler.ahead or scheduler.out:
        scheduler.hand_out()
        try:
            number, pending = scheduler.back.get(timeout=poll_s)
        except Empty:
            continue
        if number in scheduler.out:  # else its other copy was quicker
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
class _Out:
    """A shard that somebody computes."""

    since: float = field(default_factory=time.monotonic)
    tries: int = 1
    copies: int = 1


class _Scheduler:
    """Hands shards out and takes them back."""

    def __init__(self, submit: Callable[[int], Pending], costs: Sequence[float], max_workers: int) -> None:
        self._submit, self._costs, self._max_workers = submit, costs, max_workers
        self._rates: list[float] = []
        """Seconds for a unit of cost, of each shard that is done."""
        self.ahead = sorted(range(len(costs)), key=lambda n: costs[n])
        """The dearest is taken first: none of them begins when all others end."""
        self.out: dict[int, _Out] = {}
        self.back: SimpleQueue[tuple[int, Pending]] = SimpleQueue()

    def hand_out(self) -> None:
        """Keep all max_workers busy; with nothing ahead, by a second copy of what is late."""
        while self.ahead and self._has_lane():
            number = self.ahead.pop()
            self.out[number] = _Out()
            self._start(number)
        for number, shard in self.out.items():
            if self._has_lane() and shard.copies == 1 and self._is_late(number, shard):
                log.warning("shard %d is late: a second worker tries it, too", number + 1)
                shard.copies += 1
                self._start(number)

    def done(self, number: int) -> None:
        """A shard is back; whatever other copy there is does not count."""
        shard = self.out.pop(number)
        self._rates.append((time.monotonic() - shard.since) / max(self._costs[number], 1e-9))

    def lost(self, number: int, error: Exception) -> None:
        """A copy of a shard did not come back: another worker has it, or gets it; at last, the error."""
        shard = self.out[number]
        shard.copies -= 1
        if shard.copies:
            return
        if shard.tries == TRIES:
            raise error
        log.warning("shard %d was lost (%s): another worker gets it", number + 1, error)
        self.out[number] = _Out(tries=shard.tries + 1)
        self._start(number)

    def _start(self, number: int) -> None:
        self._submit(number).add_done_callback(lambda pending: self.back.put((number, pending)))

    def _has_lane(self) -> bool:
        return sum(shard.copies for shard in self.out.values()) < self._max_workers

    def _is_late(self, number: int, shard: _Out) -> bool:
        if not self._rates:
            return False
        usual_s = median(self._rates) * self._costs[number]
        return time.monotonic() - shard.since > max(LATE_MIN_S, LATE * usual_s)
