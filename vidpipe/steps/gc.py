"""Garbage collection: feature parts and temporary files that no ledger row names, old reports, pictures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from vidpipe.ports import Ports
from vidpipe.steps.champion_alias import earlier_champions, serving
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
    predictions: int
    """Rows that were old."""
    ledger_bytes: int
    """By which the ledger's file shrank."""


def gc(
    ports: Ports,
    *,
    older_than_s: float = OLD_S,
    lost_parts: bool = False,
    keep_predictions_days: int | None = None,
) -> GcResult:
    """Remove unnamed parts, temporary files and staged objects older than a day, old reports and pictures.

    Where much of the ledger's file is room of deleted rows, the file is rewritten without it.

    Args:
        ports: The outside world.
        older_than_s: Younger files stay.
        lost_parts: Forget the features of parts that are gone, even if all are.
        keep_predictions_days: Delete older predictions, but for the best label and those over their
            threshold, by versions that serve, by the challenger and by the champion that a rollback would
            restore; None: all stay.

    Raises:
        LeaseHeld: Another run is at work.
        RegistryUnreachable: MLflow cannot say which version is challenger; nothing is deleted.
    """
    with recorded(ports, "gc") as run:
        lost = forget_lost_parts(ports, even_all=True) if lost_parts else 0
        pruned = 0
        if keep_predictions_days is not None:
            before = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=keep_predictions_days)
            pruned = ports.ledger.predictions.prune(before, sorted(_needed(ports)))
        files, size_bytes = collect(ports, older_than_s)
        freed = ports.ledger.compact()
        run.detail = {
            "files": files, "bytes": size_bytes, "lost_parts": lost, "predictions": pruned,
            "ledger_bytes": freed,
        }  # fmt: skip
        return GcResult(run.run_id, files, size_bytes, lost, pruned, freed)


def _needed(ports: Ports) -> set[int]:
    """Versions whose labels are used: without them, their videos would be scored again."""
    before = [p.to_version for p in earlier_champions(ports)[-1:] if p.to_version is not None]
    return {*serving(ports), *ports.registry.aliases().values(), *before}


def collect(ports: Ports, older_than_s: float) -> tuple[int, int]:
    """Garbage collection for callers that hold the lease: (files, bytes) deleted."""
    swept = [
        ports.store.sweep(ports.ledger.features.named_parts(), older_than_s),
        ports.staging.sweep(older_than_s),
        ports.ledger.sweep(older_than_s),
        ports.warehouse.sweep(older_than_s),
        ports.registry.sweep(serving(ports), older_than_s),
        ports.reports.sweep(older_than_s),
        ports.pictures.sweep(older_than_s),
        ports.waiting_labels.sweep(older_than_s),
    ]
    return sum(files for files, _ in swept), sum(size_bytes for _, size_bytes in swept)
