"""Ports of the published warehouse and the HTML reports."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # torch takes a second to load and numpy 0.1, which `vidpipe status` does not have
    pass


class NamedQuery(Protocol):
    """Function that executes a named statement and returns its rows."""

    def __call__(self, name: str, /, **parameters: Any) -> list[dict[str, Any]]: ...


class Warehouse(Protocol):
    """The published snapshot."""

    def publish(self) -> None: ...
    def reading(self) -> AbstractContextManager[NamedQuery]: ...
    def sweep(self, older_than_s: float) -> tuple[int, int]: ...


class Reports(Protocol):
    """Folder of HTML reports."""

    def write(self, run_id: int, page: str) -> Path: ...
    def forget(self, video_id: str) -> int: ...
    def sweep(self, older_than_s: float) -> tuple[int, int]: ...
