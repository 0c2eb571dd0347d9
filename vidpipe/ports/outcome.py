"""Ports of the published warehouse and the HTML reports."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from vidpipe.records.machine import Gauge


class NamedQuery(Protocol):
    """Function that executes a named statement and returns its rows."""

    def __call__(self, name: str, /, **parameters: Any) -> list[dict[str, Any]]: ...


class Warehouse(Protocol):
    """The published snapshot."""

    def publish(self) -> None: ...
    def reading(self) -> AbstractContextManager[NamedQuery]: ...
    def sweep(self, older_than_s: float) -> tuple[int, int]: ...


class Monitoring(Protocol):
    """Text file of gauges that a monitoring system reads."""

    def write(self, gauges: Sequence[Gauge]) -> None: ...


class Reports(Protocol):
    """Folder of HTML reports."""

    def write(self, run_id: int, page: str) -> Path: ...
    def forget(self, video_id: str) -> int: ...
    def sweep(self, older_than_s: float) -> tuple[int, int]: ...
