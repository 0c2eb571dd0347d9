"""Ports of the health checks of `vidpipe doctor`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidpipe.records.machine import (
    DiskFacts,
    ModelFault,
    NetworkFacts,
    ServiceFacts,
    StagingFacts,
    ToolFacts,
    Unfinished,
)

if TYPE_CHECKING:  # torch takes a second to load and numpy 0.1, which `vidpipe status` does not have
    pass


@dataclass(frozen=True, slots=True)
class Probes:
    """Functions that `doctor` calls for its checks.

    Each may fail by itself, may take long, and changes nothing.
    """

    ffmpeg: Callable[[], ToolFacts]
    ffprobe: Callable[[], ToolFacts]
    network: Callable[[], NetworkFacts]
    disk: Callable[[], DiskFacts]
    mlflow: Callable[[], ServiceFacts]
    models: Callable[[Unfinished], Sequence[ModelFault]]
    """What keeps the versions that serve from being served."""
    prefect: Callable[[], ServiceFacts]
    version_conflicts: Callable[[], Sequence[str]]
    """Packages out of their supported range, in words."""
    lease_holder: Callable[[], Mapping[str, object] | None]
    unfinished: Callable[[], Unfinished | None]
    """None while there is no ledger."""
    unnamed_parts: Callable[[frozenset[tuple[str, str]]], Sequence[float]]
    """Ages in seconds of the parts that are not among these."""
    gone_parts: Callable[[frozenset[tuple[str, str]]], int]
    """How many of these parts are not there."""
    features: Callable[[], str | None]
    """The bucket where parts lie, once it has been written to; None for a folder."""
    reach: Callable[[str], None]
    """Raises unless a source is there."""
    staging: Callable[[], StagingFacts]
    snapshot: Callable[[], ServiceFacts]
