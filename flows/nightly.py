"""Prefect flow of `vidpipe nightly`: ingest, extract, classify and publish, each stage a task.

It holds the lease from the first task to the last, so that two nights never overlap, whatever the scheduler
believes.

A scheduled night that comes late, after a later one did its work, has nothing to do: a worker that was away
for a week makes up for it in one night, not in seven. A scheduled night waits for the lease, since nobody is
there to start it again; one that a person starts fails while another run holds it.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from prefect import flow, task
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.executor import ports_of
from flows.shared import RETRIES, due_at, publish_events, publish_link, publish_result, run_alone
from vidpipe.steps.night_events import night_events
from vidpipe.steps.nightly import night_since, nightly

R = TypeVar("R")


@task(**RETRIES)
def night_part(part: Callable[..., R], arguments: tuple[object, ...]) -> R:
    """Prefect task that runs one stage of the night."""
    return part(*arguments)


def as_task(name: str, part: Callable[..., R], /, *arguments: object) -> R:
    """`StageRunner` that runs a stage of the night as a Prefect task with retries."""
    return night_part.with_options(task_run_name=name)(part, arguments)


@flow(name="nightly")
def nightly_flow(failure_budget: str | None = None, home: str | None = None) -> State[Any]:
    """Ingest, extract, classify and publish what is new in every collection.

    Ends Failed when the night went over its failure budget or a source could not be listed; what
    succeeded is published all the same. A degraded night is Completed, with its problems as the message:
    all was read and scored, and a repetition would mend nothing. Ends Skipped when it comes so late that
    another did its work.

    Args:
        failure_budget: Share (0.1) or count (25) of failing videos that is too much; as set when empty.
        home: Another home than the one that VIDPIPE_HOME names.
    """
    due = due_at()
    ports = ports_of(home, wait_for_lease=due is not None)
    if due and (other := night_since(ports, due)):
        return Completed(name="Skipped", message=f"run {other} did the work since this night was due.")
    result = nightly(ports, failure_budget=failure_budget, run_stage=as_task)
    facts = publish_result(result)
    publish_events(lambda: night_events(ports.warehouse, result))
    if result.report:
        publish_link("report", result.report)
    if result.status in ("over_budget", "failed"):
        return Failed(
            message=f"{result.status}: {result.failed} failed. {' '.join(result.problems)}", data=facts
        )
    return Completed(message=" ".join([result.status, *result.problems]), data=facts)


if __name__ == "__main__":
    run_alone(nightly_flow)
