"""Shared by all flows: progress in logs and artifacts, the retry rule, results as Prefect artifacts."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

# Read by Prefect on import. No telemetry; the library's log lines become the flow's; a slow disk may
# take long to make the embedded server's database.
os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "vidpipe")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
os.environ.setdefault("DO_NOT_TRACK", "true")

from prefect import Task, get_run_logger
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY, PREFECT_API_URL

from vidpipe.adapters.http_login import prefect_authorization
from vidpipe.adapters.machine import need_prefect
from vidpipe.errors import LeaseHeld, TransientError, VidpipeError
from vidpipe.progress import Meter, Metered
from vidpipe.records.events import Event
from vidpipe.steps.runs import Result

FAILED, HELD = 1, 4
"""Exit codes, as of the command line."""


class LogProgress(Metered):
    """Progress as log lines and a Prefect progress artifact: at every tenth, once a second at most."""

    @contextmanager
    def stage(self, name: str, total: float, unit: str) -> Iterator[Callable[[float, int], None]]:
        """Context manager of one stage, whose `total` is the work to be done."""
        logger = get_run_logger()
        key = "vidpipe-progress-" + re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
        artifact = cast(UUID, create_progress_artifact(0.0, key=key, description=name))
        reported, last = 0.0, time.monotonic()

        def show(meter: Meter) -> None:
            nonlocal reported, last
            is_due = meter.share - reported >= 0.1 and time.monotonic() - last >= 1
            if is_due or meter.share == 1 != reported:
                reported, last = meter.share, time.monotonic()
                logger.info("%s: %s", name, str(meter))
                update_progress_artifact(artifact, 100 * reported, description=f"{name}: {meter}")

        with self.metered(name, total, unit, show) as advance:
            yield advance


def run_alone(flow: Callable[..., object], **arguments: object) -> None:
    """Entry point of a flow run as a process: errors become one line on stderr and an exit code."""
    with errors_on_one_line():
        if server := PREFECT_API_URL.value():
            sys.stderr.write(f"· the Prefect server at {server} records this run\n")
        need_server()
        flow(**arguments)


@contextmanager
def errors_on_one_line() -> Iterator[None]:
    """Write our errors to stderr and exit: 4 where another run holds the lease, else 1."""
    try:
        yield
    except VidpipeError as error:
        sys.stderr.write(f"{Path(sys.argv[0]).stem}: {error}\n")
        raise SystemExit(HELD if isinstance(error, LeaseHeld) else FAILED) from None


def need_server() -> None:
    """Check the Prefect server and login of the environment, a profile or a file in the working folder."""
    login = prefect_authorization(PREFECT_API_AUTH_STRING.value(), PREFECT_API_KEY.value())
    need_prefect(PREFECT_API_URL.value(), login)


def due_at() -> datetime | None:
    """Scheduled start time (UTC) of the current flow run; None when a person started it."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or not run.auto_scheduled or run.expected_start_time is None:
        return None
    return run.expected_start_time.astimezone(UTC).replace(tzinfo=None)


def is_transient(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:
    """Prefect retry condition: only `TransientError` is retried."""
    try:
        state.result()
    except TransientError as error:
        return not error.was_retried
    except Exception:  # any other error: shown by Prefect, not retried
        return False
    return False


RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [5, 30, 120],
    "retry_condition_fn": is_transient,
    "cache_policy": None,  # the ledger decides what is done, not Prefect's cache
    "persist_result": False,
}
"""Keyword arguments of every task."""


@contextmanager
def retried() -> Iterator[None]:
    """Mark transient errors of inner tasks as retried already, so that the enclosing task does not retry."""
    try:
        yield
    except TransientError as error:
        error.was_retried = True
        raise


def publish_result(result: Result) -> dict[str, Any]:
    """Publish a step's result as a table artifact; its JSON is the flow's result."""
    facts = result.to_dict()
    kind = type(result).__name__.removesuffix("Result").lower()
    rows = [{"name": name, "value": str(value)} for name, value in facts.items()]
    create_table_artifact(rows, key=f"vidpipe-{kind}", description=f"Result of the last {kind} run.")
    return facts


def publish_events(find: Callable[[], Iterable[Event]]) -> None:
    """Emit events as `vidpipe.NAME`, for automations; a failure is only logged."""
    try:
        for event in find():
            resource = {"prefect.resource.id": f"vidpipe.{event.about}", "prefect.resource.name": event.about}
            emit_event(f"vidpipe.{event.name}", resource, payload=dict(event.facts))
    except Exception as error:  # any error: what it tells of is done and published
        get_run_logger().warning("no events: %s: %s", type(error).__name__, error)


def publish_link(name: str, file: str) -> None:
    """Publish a link artifact to a local page.

    The path is its text: browsers may refuse to follow a link from a server to a file.
    """
    create_link_artifact(
        Path(file).as_uri(), link_text=file, key=f"vidpipe-{name}", description=f"The last {name}."
    )


def publish_markdown(name: str, text: str) -> None:
    """Publish a Markdown artifact."""
    create_markdown_artifact(text, key=f"vidpipe-{name}", description=f"The last {name}.")
