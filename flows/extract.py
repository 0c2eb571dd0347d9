"""Prefect flow of `vidpipe extract`: CNN features of videos, one task for each shard of videos.

A shard becomes one Parquet part, which is what a crash or a retry may cost. Workers write parts; only this
flow writes the ledger.
"""

from typing import Any

from prefect import flow

from flows.executor import ports_of
from flows.shared import publish_result
from vidpipe.steps.extract import extract


@flow(name="extract")
def extract_flow(collection: str | None = None, home: str | None = None) -> dict[str, Any]:
    """Extract features of every present video that lacks them.

    Args:
        collection: One collection; all when empty.
        home: Another home than the one that VIDPIPE_HOME names.
    """
    return publish_result(extract(ports_of(home), collection))
