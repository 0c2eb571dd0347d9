"""Port of backups of a home."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from vidpipe.records.archive import Archive


class HomeArchive(Protocol):
    """Backup and restoration of one home."""

    def save(self, folder: Path, *, list_features: bool = False) -> Archive: ...
    def load(self, folder: Path) -> Archive: ...
