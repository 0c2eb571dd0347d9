"""Promote a version. The gate decides; a refusal is an answer, shown with its reasons, not a crash."""

from typing import Any

from prefect import flow, task

from flows.shared import RETRIES, ports_of, publish_result
from vidpipe.steps.promote import PromoteReport, promote


@task(**RETRIES)
def promote_version(home: str | None, version: str | None, reason: str | None) -> PromoteReport:
    """Judge, record, move the alias."""
    return promote(ports_of(home), version, reason=reason)


@flow(name="promote")
def promote_flow(
    version: str | None = None, reason: str | None = None, home: str | None = None
) -> dict[str, Any]:
    """Make the challenger (or the given version) champion if the gate lets it."""
    return publish_result(promote_version(home, version, reason))
