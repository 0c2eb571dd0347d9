"""Prefect flows that freeze an evaluation set, promote a model version and roll back.

The gate decides; a refusal is a result, shown with its reasons and numbers, not a failed flow run.
"""

from typing import Any

from prefect import flow, task

from flows.executor import ports_of
from flows.shared import RETRIES, publish_markdown, publish_result
from vidpipe.report.evidence import decision_markdown
from vidpipe.steps.freeze_eval import FreezeResult, freeze_eval
from vidpipe.steps.promote import PromoteResult, promote, rollback


@task(**RETRIES)
def freeze_set(home: str | None, collection: str, split: str, split_column: str | None) -> FreezeResult:
    """Record the evaluation set in the ledger."""
    return freeze_eval(ports_of(home), collection, split=split, split_column=split_column)


@task(**RETRIES)
def promote_version(
    home: str | None, version: str | None, eval_set: str | None, force: bool, reason: str | None
) -> PromoteResult:
    """Compare the version with the champion, record the decision and move the alias."""
    return promote(ports_of(home), version, eval_set=eval_set, force=force, reason=reason)


@task(**RETRIES)
def restore_version(home: str | None, to: int | None, reason: str | None) -> PromoteResult:
    """Record the rollback; move the alias and every collection back."""
    return rollback(ports_of(home), to, reason=reason)


@flow(name="freeze-eval", flow_run_name="freeze-eval-{collection}")
def freeze_eval_flow(
    collection: str, split: str = "test", split_column: str | None = None, home: str | None = None
) -> dict[str, Any]:
    """Freeze a split of a collection as the evaluation set that every version is compared on from now on.

    Args:
        collection: A collection with labels.
        split: train, val, test or all.
        split_column: The manifest's column of train/val/test; cut by group when empty.
        home: Another home than the one that VIDPIPE_HOME names.
    """
    return publish_result(freeze_set(home, collection, split, split_column))


@flow(name="promote")
def promote_flow(
    version: str | None = None,
    eval_set: str | None = None,
    force: bool = False,
    reason: str | None = None,
    home: str | None = None,
) -> dict[str, Any]:
    """Promote the challenger (or the given version) to champion if it passes the gate.

    Args:
        version: A version number; the challenger when empty.
        eval_set: Hash of a frozen evaluation set; the last one when empty.
        force: Promote against the gate; needs a reason.
        reason: Recorded with the decision.
        home: Another home than the one that VIDPIPE_HOME names.
    """
    return _publish_decision(promote_version(home, version, eval_set, force, reason))


@flow(name="rollback")
def rollback_flow(
    to: int | None = None, reason: str | None = None, home: str | None = None
) -> dict[str, Any]:
    """Roll back to the previous champion, or to the given version.

    Args:
        to: Version number of an earlier champion; the last one when empty.
        reason: Recorded with the decision.
        home: Another home than the one that VIDPIPE_HOME names.
    """
    return _publish_decision(restore_version(home, to, reason))


def _publish_decision(result: PromoteResult) -> dict[str, Any]:
    facts = publish_result(result)
    publish_markdown("decision", decision_markdown(facts))
    return facts
