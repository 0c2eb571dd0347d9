"""Progress and remaining time of a stage, in one line for a terminal, a log and Prefect alike.

Work done is weighted by its expected cost, so that an hour-long video beside a short one counts as nearly all
of the work, not half. Frames and frames a second are counted separately, for people.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Meter:
    """Progress meter of one stage; `show` is called after every change."""

    def __init__(
        self,
        name: str,
        total: float,
        unit: str,
        show: Callable[[Meter], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.total = name, total
        self._unit, self._show, self._clock = unit, show, clock
        self._started = clock()
        self._done, self._count = 0.0, 0
        self._under_way = 0.0, 0

    def advance(self, amount: float, count: int) -> None:
        """Add finished cost and finished units; the cost includes what was counted as in progress."""
        self._done += amount
        self._count += count
        self._under_way = 0.0, 0
        self._show(self)

    def in_progress(self, amount: float, count: int) -> None:
        """Add cost that is in progress."""
        before, counted = self._under_way
        self._under_way = before + amount, counted + count
        self._show(self)

    @property
    def share(self) -> float:
        """Share of the total that is done, 0 to 1."""
        done = self._done + self._under_way[0]
        return min(1.0, done / self.total) if self.total else 1.0

    def __str__(self) -> str:
        """Progress as text, such as `34 %, 1,480 frames, 157 frames/s, 1:12 left`."""
        seconds, count = self._clock() - self._started, self._count + self._under_way[1]
        said = [f"{100 * self.share:.0f} %"]
        if count:
            said.append(f"{count:,} {self._unit}")
        if seconds >= 1 and count:
            said.append(f"{_rounded(count / seconds)} {self._unit}/s")
        if seconds >= 1 and 0 < self.share < 1:
            said.append(f"{_clock_time(seconds / self.share - seconds)} left")
        return ", ".join(said)


class Metered:
    """Base class of progress displays, for the terminal and for flows: one stage after the other."""

    def __init__(self) -> None:
        self._meter: Meter | None = None

    @contextmanager
    def metered(
        self, name: str, total: float, unit: str, show: Callable[[Meter], None]
    ) -> Iterator[Callable[[float, int], None]]:
        """Context manager with the meter of one stage; yields the function that advances it."""
        self._meter = Meter(name, total, unit, show)
        try:
            yield self._meter.advance
        finally:
            self._meter = None

    def in_progress(self, amount: float, count: int) -> None:
        """Add cost that is in progress; ignored where no stage is open, as on a worker."""
        if self._meter:
            self._meter.in_progress(amount, count)


def _rounded(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}"


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
