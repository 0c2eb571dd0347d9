"""Extract features. One task a batch of videos, not one a video: a batch is a Parquet part, and what a
crash or a retry may cost. Workers write parts; only this flow writes the ledger.
"""

from typing import Any

from prefect import flow, task

from flows.shared import RETRIES, ports_of, publish_result
from vidpipe.ports import Ports
from vidpipe.records import PartResult
from vidpipe.steps.extract import Batch, ExtractReport, commit, plan, report, work
from vidpipe.steps.runs import recorded


@task(**RETRIES)
def extract_batch(ports: Ports, batch: Batch) -> list[PartResult]:
    """Decode a batch and run the CNN over it, into a part for each spec."""
    return work(ports, batch)


def extract_all(
    ports: Ports, collection: str | None, *, retry_failed: bool = False, alone: bool = True
) -> ExtractReport:
    """`vidpipe.steps.extract.extract`, each batch a task that Prefect shows and retries."""
    with recorded(ports, "extract") as run:
        batches, skipped = plan(ports, collection, retry_failed=retry_failed, alone=alone)
        for number, batch in enumerate(batches, start=1):
            named = extract_batch.with_options(task_run_name=f"extract-{number}-of-{len(batches)}")
            commit(ports, run, batch, named(ports, batch))
        return report(run, skipped)


@flow(name="extract")
def extract_flow(collection: str | None = None, home: str | None = None) -> dict[str, Any]:
    """Give every present video features.

    Args:
        collection: One collection; all when empty.
        home: Another home than the one that VIDPIPE_HOME names.
    """
    return publish_result(extract_all(ports_of(home), collection))
