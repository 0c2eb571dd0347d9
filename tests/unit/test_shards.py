"""Shards come back once each, whoever computes them, dies, or takes his time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from vidpipe import shards
from vidpipe.errors import StopError
from vidpipe.shards import gather


class Workers:
    """Threads that compute `work(number, copy)`; a copy is a number of its own, from 0."""

    def __init__(self, work: Callable[[int, int], object]) -> None:
        self._work, self._pool = work, ThreadPoolExecutor(16)
        self.started: list[int] = []
        self.busy = self.most_busy = 0
        self._guard = threading.Lock()

    def submit(self, number: int) -> Future[object]:
        copy = Counter(self.started)[number]
        self.started.append(number)
        return self._pool.submit(self._run, number, copy)

    def _run(self, number: int, copy: int) -> object:
        with self._guard:
            self.busy += 1
            self.most_busy = max(self.busy, self.most_busy)
        try:
            return self._work(number, copy)
        finally:
            with self._guard:
                self.busy -= 1


def back(workers: Workers, costs: list[float], max_workers: int = 2) -> dict[int, object]:
    found = list(gather(workers.submit, costs, max_workers, poll_s=0.01))
    assert len(found) == len({number for number, _ in found})
    return dict(found)


def ten_times(number: int, copy: int) -> int:
    time.sleep(0.01)
    return number * 10


def test_every_shard_comes_back_once_the_dearest_is_started_first_and_lanes_are_kept() -> None:
    workers = Workers(ten_times)
    costs = [3.0, 9.0, 1.0, 7.0, 5.0, 2.0]
    assert back(workers, costs, max_workers=3) == {n: n * 10 for n in range(6)}
    assert workers.started == [1, 3, 4, 0, 5, 2]
    assert workers.most_busy <= 3
    assert list(gather(workers.submit, [], 2)) == []


def test_a_lost_shard_is_given_to_another_worker() -> None:
    def work(number: int, copy: int) -> int:
        if number == 1 and copy < 2:
            raise ConnectionError("the worker died")
        return number

    workers = Workers(work)
    assert back(workers, [1.0, 1.0, 1.0]) == {0: 0, 1: 1, 2: 2}
    assert Counter(workers.started) == {0: 1, 1: 3, 2: 1}


def test_a_shard_that_is_lost_three_times_ends_with_the_last_error() -> None:
    def work(number: int, copy: int) -> int:
        raise ConnectionError(f"death {copy + 1}")

    with pytest.raises(ConnectionError, match="death 3"):
        back(Workers(work), [1.0])


def test_a_worker_that_ran_out_of_an_iterator_is_named_with_its_shard() -> None:
    def work(number: int, copy: int) -> int:
        return next(iter([7] if number == 0 else []))

    with pytest.raises(RuntimeError, match=r"shard 2: its worker raised StopIteration\(\)") as caught:
        back(Workers(work), [1.0, 1.0])
    assert isinstance(caught.value.__cause__, StopIteration)


def test_an_error_of_vidpipe_is_not_tried_again() -> None:
    def work(number: int, copy: int) -> int:
        raise StopError("no such thing", next_step="look")

    workers = Workers(work)
    with pytest.raises(StopError, match="no such thing"):
        back(workers, [1.0])
    assert workers.started == [0]


@pytest.fixture
def _soon_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "LATE_MIN_S", 0.2)


@pytest.mark.usefixtures("_soon_late")
def test_a_straggler_does_not_hold_the_others_and_its_second_copy_counts() -> None:
    hangs = threading.Event()

    def work(number: int, copy: int) -> str:
        if number == 0 and copy == 0:
            hangs.wait(30)
        return f"copy {copy}"

    workers = Workers(work)
    started = time.monotonic()
    found = back(workers, [1.0] * 4)
    assert time.monotonic() - started < 20, "it did not wait for the first copy"
    assert found == {0: "copy 1", 1: "copy 0", 2: "copy 0", 3: "copy 0"}
    hangs.set()


@pytest.mark.usefixtures("_soon_late")
def test_a_late_shard_gets_no_second_copy_while_others_wait_or_lanes_are_full() -> None:
    def work(number: int, copy: int) -> int:
        time.sleep(0.6 if number == 0 else 0.01)
        return number

    workers = Workers(work)
    assert back(workers, [1.0, 1.0], max_workers=1) == {0: 0, 1: 1}
    assert Counter(workers.started) == {0: 1, 1: 1}


@pytest.mark.usefixtures("_soon_late")
def test_a_shard_ten_times_as_dear_is_not_late_for_taking_ten_times_as_long() -> None:
    def work(number: int, copy: int) -> int:
        time.sleep(1.0 if number == 0 else 0.1)
        return number

    workers = Workers(work)
    assert back(workers, [10.0, 1.0, 1.0]) == {0: 0, 1: 1, 2: 2}
    assert Counter(workers.started)[0] == 1


def test_who_stops_listening_stops_the_work() -> None:
    workers = Workers(lambda number, _: number)
    results: Any = gather(workers.submit, [1.0] * 50, 1, poll_s=0.01)  # a generator
    next(results)
    results.close()
    assert len(workers.started) <= 2
