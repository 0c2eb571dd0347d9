"""Events of a published night: drift, falling agreement, an exceeded budget, labels that are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

from vidpipe.ports.outcome import NamedQuery, Warehouse
from vidpipe.records.events import Event
from vidpipe.steps.nightly import NightlyResult

DRIFT, BUDGET_EXCEEDED, NEW_LABEL_WANTED = "drift", "budget-exceeded", "new-label-wanted"
LEAST_COMPARED = 20
"""Fewer videos that champion and challenger both scored tonight say nothing of their agreement."""
SURE = 3.3
"""Standard errors that it must have fallen by: by chance in one night of 2,000."""


def night_events(warehouse: Warehouse, night: NightlyResult) -> list[Event]:
    """List what a night found that somebody, or another flow, may want to act on.

    Raises:
        NotFound: Nothing has been published.
    """
    with warehouse.reading() as read:
        return [*_of_result(night), *_agreement(read, night), *_unknown(read, night)]


def _of_result(night: NightlyResult) -> Iterator[Event]:
    if night.status == "over_budget":
        facts = {"run_id": night.run_id, "failed": night.failed, "problems": list(night.problems)}
        yield Event(BUDGET_EXCEEDED, "night", facts)
    for found in night.drift:
        if found.alarmed:
            facts = {
                "run_id": night.run_id, "kind": "features", "collection": found.collection,
                "version": found.version, "videos": found.videos, "e_value": found.e_value,
            }  # fmt: skip
            yield Event(DRIFT, f"collection.{found.collection}", facts)


def _agreement(read: NamedQuery, night: NightlyResult) -> Iterator[Event]:
    """Champion and challenger give fewer videos the same label than in the nights before."""
    for row in read("agreement_before", run_id=night.run_id):
        fell = fallen(row["agreeing"], row["compared"], row["agreeing_before"], row["compared_before"])
        if row["compared"] >= LEAST_COMPARED and fell > SURE:
            facts = {
                "run_id": night.run_id, "kind": "agreement", "version": row["champion"],
                "challenger": row["challenger"], "videos": row["compared"],
                "agreement": row["agreeing"] / row["compared"],
                "agreement_before": row["agreeing_before"] / row["compared_before"],
            }  # fmt: skip
            yield Event(DRIFT, "agreement", facts)


def fallen(agreeing: int, n: int, agreeing_before: int, n_before: int) -> float:
    """Standard errors by which a share is below the one before: the two-proportion z-test, pooled.

    Source: https://en.wikipedia.org/wiki/Two-proportion_Z-test
    """
    pooled = (agreeing + agreeing_before) / (n + n_before)
    error = sqrt(pooled * (1 - pooled) * (1 / n + 1 / n_before))
    return (agreeing_before / n_before - agreeing / n) / error if error else 0.0


def _unknown(read: NamedQuery, night: NightlyResult) -> Iterator[Event]:
    """Videos of tonight that are unlike all that their version was trained on, and have no label."""
    for row in read("unknown_tonight", run_id=night.run_id):
        facts = {
            "run_id": night.run_id, "collection": row["collection"], "videos": row["videos"],
            "next": f"vidpipe label-queue --collection {row['collection']}",
        }  # fmt: skip
        yield Event(NEW_LABEL_WANTED, f"collection.{row['collection']}", facts)
