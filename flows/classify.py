"""Prefect flow of `vidpipe classify`: predictions from stored features, committed in chunks, resumable."""

from typing import Any

from prefect import flow, task

from flows.executor import ports_of
from flows.shared import RETRIES, publish_result
from vidpipe.steps.classify import ClassifyResult, classify


@task(**RETRIES)
def classify_pending(home: str | None, collection: str | None, model: str) -> ClassifyResult:
    """Classify the videos that the version has not classified yet."""
    return classify(ports_of(home), collection, model=model)


@task(**RETRIES)
def classify_archive(home: str | None, collection: str | None, budget_s: float | None) -> ClassifyResult:
    """Classify with the champion the videos that only older versions have classified."""
    return classify(ports_of(home), collection, backfill=True, budget_s=budget_s)


@flow(name="classify")
def classify_flow(
    collection: str | None = None, model: str = "champion", home: str | None = None
) -> dict[str, Any]:
    """Classify videos from their stored features into prediction rows.

    Args:
        collection: One collection; all when empty.
        model: champion, challenger or a version number.
        home: Another home than the one that VIDPIPE_HOME names.
    """
    return publish_result(classify_pending(home, collection, model))


@flow(name="backfill")
def backfill_flow(
    collection: str | None = None, budget_s: float | None = None, home: str | None = None
) -> dict[str, Any]:
    """Backfill: predictions of the champion for videos that older versions serve, newest collections first.

    The archive is what only older versions have scored. No video is opened, and what the time does not
    allow is left to the next backfill, or to the nights.

    Args:
        collection: One collection; all when empty.
        budget_s: Seconds that it may take; without a limit when empty.
        home: Another home than the one that VIDPIPE_HOME names.
    """
    return publish_result(classify_archive(home, collection, budget_s))
