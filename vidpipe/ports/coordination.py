"""Ports of the lease, progress and shard executors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from vidpipe.ports import Ports


class Lease(Protocol):
    """Lock that lets one run write at a time."""

    @property
    def is_mine(self) -> bool: ...
    def hold(self, verb: str, *, wait: bool = False) -> AbstractContextManager[None]: ...
    def beside(
        self, lock: str, *, shared: bool = False, wait: bool = True
    ) -> AbstractContextManager[bool]: ...
    def holder(self) -> Mapping[str, object] | None: ...


class Progress(Protocol):
    """Progress display of one stage after the other.

    The context's value takes how much of the total is done since the last call, and how many of the unit that
    was; `in_progress` takes what of the next call is under way, and nothing where no stage is open.
    """

    def stage(
        self, name: str, total: float, unit: str
    ) -> AbstractContextManager[Callable[[float, int], None]]: ...
    def in_progress(self, amount: float, count: int) -> None: ...


class Shard(Protocol):
    """Independent piece of a run's work."""

    @property
    def cost(self) -> float: ...


S = TypeVar("S", bound=Shard)
R = TypeVar("R")


class ShardExecutor(Protocol):
    """Executor of shards: this process, or workers; `work` is a function that they can import."""

    def compute(
        self, ports: Ports, work: Callable[[Ports, S], R], shards: Sequence[S]
    ) -> Iterator[tuple[S, R]]: ...
