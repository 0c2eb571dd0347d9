"""The night: `vidpipe nightly` with every part a task. It holds the lease from the first task to the last,
so that two nights never overlap, whatever the scheduler believes.

A scheduled night that comes late, after a later one did its work, has nothing to do: a worker that was away
for a week makes up for it in one night, not in seven.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from prefect import flow, task
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.fleet import ports_of
from flows.shared import RETRIES, due_at, publish_result
from vidpipe.errors import RegistryUnreachable, StorageUnreachable
from vidpipe.ports import Ports
from vidpipe.steps import nightly as night_steps
from vidpipe.steps.classify import ClassifyReport
from vidpipe.steps.extract import extract
from vidpipe.steps.gc import OLD_S, collect
from vidpipe.steps.nightly import Night, NightlyReport, conclude, parse_budget
from vidpipe.steps.runs import RunLog, recorded


@task(task_run_name="ingest-{name}", **RETRIES)
def ingest_collection(ports: Ports, night: Night, name: str) -> None:
    """One collection's news."""
    night_steps.ingest_collection(ports, night, name)


@task(**RETRIES)
def classify_news(ports: Ports) -> ClassifyReport | None:
    """The champion's predictions for what it has not scored."""
    return night_steps.classify_news(ports)


@task(**RETRIES)
def shadow_challenger(ports: Ports, run: RunLog) -> Mapping[str, int] | None:
    """The challenger's predictions beside the champion's."""
    return night_steps.shadow_challenger(ports, run)


@task(**RETRIES)
def tell_night(ports: Ports, run_id: int) -> str | None:
    """The night's page, from what has just been published."""
    return night_steps.told(ports, run_id)


def play_night(ports: Ports, failure_budget: str | None) -> NightlyReport:
    """`vidpipe.steps.nightly.nightly`, in tasks."""
    budget = parse_budget(failure_budget, ports.limits.failure_budget)
    with recorded(ports, "nightly") as run:
        night = Night()
        for collection in ports.ledger.collections():
            ingest_collection(ports, night, collection.name)
        with night.without(StorageUnreachable):
            night.add(extract(ports, retry_failed=True, alone=False))
        with night.without(RegistryUnreachable):
            night.classified = classify_news(ports)
            night.shadow = shadow_challenger(ports, run)
        collect(ports, OLD_S)
        ended = conclude(run, night, budget)
    return replace(ended, report=tell_night(ports, ended.run_id))


@flow(name="nightly")
def nightly_flow(failure_budget: str | None = None, home: str | None = None) -> State[Any]:
    """Every collection: what is new, ingested, extracted, classified, published.

    Ends Failed when the night went over its failure budget or a source could not be listed; what
    succeeded is published all the same. Ends Skipped when it comes so late that another did its work.

    Args:
        failure_budget: Share (0.1) or count (25) of failing videos that is too much; as set when empty.
        home: Another home than the one that VIDPIPE_HOME names.
    """
    ports = ports_of(home)
    due = due_at()
    if due and (other := night_steps.night_since(ports, due)):
        return Completed(name="Skipped", message=f"run {other} did the work since this night was due.")
    report = play_night(ports, failure_budget)
    facts = publish_result(report)
    if report.status in ("over_budget", "failed"):
        return Failed(
            message=f"{report.status}: {report.failed} failed. {' '.join(report.problems)}", data=facts
        )
    return Completed(message=report.status, data=facts)


if __name__ == "__main__":
    nightly_flow()
