"""Reset failing and quarantined videos, so that the next run retries them."""

from __future__ import annotations

from dataclasses import dataclass

from vidpipe.ports import Ports
from vidpipe.steps.lookup import require_collection
from vidpipe.steps.runs import Result, recorded


@dataclass(frozen=True, slots=True)
class RetryResult(Result):
    """Result of `vidpipe retry`."""

    run_id: int
    collection: str | None
    failures: int


def retry(ports: Ports, collection: str | None = None) -> RetryResult:
    """Reset attempts, quarantine and verdicts of failing videos, so that the next run reads them again.

    Raises:
        NotFound: No such collection.
        LeaseHeld: Another run is at work.
    """
    require_collection(ports, collection)
    with recorded(ports, "retry") as run:
        run.videos = ports.ledger.failures.reset(collection)
        return RetryResult(run.run_id, collection, run.videos)
