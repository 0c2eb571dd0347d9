"""Overviews of collections, models and the state of a home, read-only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidpipe.ports import Ports
    from vidpipe.ports.ledger import Ledger


def collections(ledger: Ledger) -> list[dict[str, Any]]:
    """One row per collection: what it holds, what is classified, what it serves."""
    return ledger.table("overview_collections")


def models(ports: Ports) -> list[dict[str, Any]]:
    """One row per version, oldest first."""
    return [
        {
            "version": v.version,
            "aliases": ", ".join(v.aliases),
            "collection": v.collection,
            "split_column": v.split_column,
            "labels": len(v.labels),
            "test_accuracy": v.metrics.get("test_accuracy"),
            "baseline_test_accuracy": v.metrics.get("baseline_test_accuracy"),
            "feature_set_id": v.spec.feature_set_id,
            "created_at": datetime.fromtimestamp(v.created_at_ms / 1000, UTC).replace(
                tzinfo=None, microsecond=0
            ),
            "mlflow_run_id": v.mlflow_run_id,
        }
        for v in ports.registry.versions()
    ]


def lease_in_words(holder: Mapping[str, object] | None) -> str:
    """Holder of the lease in words; a shell's `flock` leaves no name."""
    if holder is None:
        return "free"
    if not holder:
        return "held by a program that left no name, such as flock"
    said = {k: holder.get(k, "?") for k in ("verb", "pid", "host", "since")}
    return "held by {verb} (pid {pid} on {host}) since {since} UTC".format(**said)


def status(ledger: Ledger, lease_holder: Mapping[str, object] | None) -> dict[str, Any]:
    """Champion, lease, collections, recent runs and failures."""
    return {
        "champion": ledger.table("champion_now")[0]["version"],
        "lease": lease_holder,
        "collections": collections(ledger),
        "runs": ledger.table("overview_runs"),
        "failures": ledger.table("overview_failures"),
        "promotions": ledger.table("overview_promotions"),
    }
