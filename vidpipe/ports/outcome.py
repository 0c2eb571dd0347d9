"""Ports of the published warehouse, the HTML reports and what the browse page keeps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from vidpipe.records.labels import WaitingLabel
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


class Pictures(Protocol):
    """Cached pictures of videos, each of one kind."""

    def get(self, video_id: str, kind: str) -> bytes | None: ...
    def put(self, video_id: str, kind: str, jpeg: bytes) -> None: ...
    def forget(self, video_id: str) -> int: ...
    def sweep(self, older_than_s: float) -> tuple[int, int]: ...


class WaitingLabels(Protocol):
    """Labels given while browsing that are not yet in the ledger."""

    @property
    def file(self) -> Path: ...
    def all(self) -> list[WaitingLabel]: ...
    def put(self, label: WaitingLabel) -> WaitingLabel | None: ...
    def take_back(self, labels: Collection[WaitingLabel]) -> int: ...
    def forget(self, video_id: str) -> int: ...
    def sweep(self, older_than_s: float) -> tuple[int, int]: ...
