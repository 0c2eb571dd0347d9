"""Garbage collection: feature parts and temporary files that no ledger row names, old reports, pictures."""

from __future__ import annotations

from dataclasses import dataclass

from vidpipe.ports import Ports
from vidpipe.steps.champion_alias import serving
from vidpipe.steps.lost_parts import forget_lost_parts
from vidpipe.steps.runs import Result, recorded

OLD_S = 24 * 3600.0
"""Younger files may belong to a worker that is still at it."""


@dataclass(frozen=True, slots=True)
class GcResult(Result):
    """Result of `vidpipe gc`."""

    run_id: int
    files: int
    bytes: int
    lost_parts: int
    """Parts that were gone, and whose videos will be read again."""


def gc(ports: Ports, *, older_than_s: float = OLD_S, lost_parts: bool = False) -> GcResult:
    """Remove unnamed parts, temporary files and staged objects older than a day, old reports and pictures.

    Args:
        ports: The outside world.
        older_than_s: Younger files stay.
        lost_parts: Forget the features of parts that are gone, even if all are.

    Raises:
        LeaseHeld: Another run is at work.
    """
    with recorded(ports, "gc") as run:
        lost = forget_lost_parts(ports, even_all=True) if lost_parts else 0
        files, size_bytes = collect(ports, older_than_s)
        run.detail = {"files": files, "bytes": size_bytes, "lost_parts": lost}
        return GcResult(run.run_id, files, size_bytes, lost)


def collect(ports: Ports, older_than_s: float) -> tuple[int, int]:
    """Garbage collection for callers that hold the lease: (files, bytes) deleted."""
    swept = [
        ports.store.sweep(ports.ledger.features.named_parts(), older_than_s),
        ports.staging.sweep(older_than_s),
        ports.warehouse.sweep(older_than_s),
        ports.registry.sweep(serving(ports), older_than_s),
        ports.reports.sweep(older_than_s),
        ports.pictures.sweep(older_than_s),
    ]
    return sum(files for files, _ in swept), sum(size_bytes for _, size_bytes in swept)
