"""Prefect flows that freeze an evaluation set, promote a model version and roll back.

The gate decides; a refusal is a result, shown with its reasons and numbers, not a failed flow run. With
`approval` a person decides besides: what passes the gate waits, suspended, for an answer on Prefect's page.
"""

from typing import Any

from prefect import flow, suspend_flow_run, task
from prefect.context import FlowRunContext
from prefect.input import RunInput
from pydantic import Field

from flows.executor import ports_of
from flows.shared import RETRIES, publish_events, publish_markdown, publish_result
from vidpipe.errors import ConfigurationError
from vidpipe.records.events import Event
from vidpipe.report.evidence import decision_markdown
from vidpipe.steps.freeze_eval import FreezeResult, freeze_eval
from vidpipe.steps.promote import PromoteResult, promote, rollback, weigh

MOVES = ("promoted", "forced", "rolled_back")
"""Decisions after which another version is champion."""


@task(**RETRIES)
def freeze_set(
    home: str | None, collection: str, split: str, split_column: str | None, group_near_duplicates: bool
) -> FreezeResult:
    """Record the evaluation set in the ledger."""
    return freeze_eval(
        ports_of(home), collection, split=split, split_column=split_column,
        group_near_duplicates=group_near_duplicates,
    )  # fmt: skip


class Approval(RunInput):
    """A person's answer to a version that passed the gate."""

    approve: bool = Field(description="Is it to serve?")
    reason: str = Field(description="Recorded with the decision.")


@task(**RETRIES)
def weigh_version(home: str | None, version: str | None, eval_set: str | None) -> PromoteResult:
    """Compare the version with the champion; nothing is recorded."""
    return weigh(ports_of(home), version, eval_set=eval_set)


@task(**RETRIES)
def promote_version(
    home: str | None, version: str | None, eval_set: str | None, force: bool, reason: str | None,
    veto: str | None = None,
) -> PromoteResult:  # fmt: skip
    """Compare the version with the champion, record the decision and move the alias."""
    return promote(ports_of(home), version, eval_set=eval_set, force=force, reason=reason, veto=veto)


@task(**RETRIES)
def restore_version(home: str | None, to: int | None, reason: str | None) -> PromoteResult:
    """Record the rollback; move the alias and every collection back."""
    return rollback(ports_of(home), to, reason=reason)


@flow(name="freeze-eval", flow_run_name="freeze-eval-{collection}")
def freeze_eval_flow(
    collection: str,
    split: str = "test",
    split_column: str | None = None,
    group_near_duplicates: bool = False,
    home: str | None = None,
) -> dict[str, Any]:
    """Freeze a split of a collection as the evaluation set that every version is compared on from now on.

    Args:
        collection: A collection with labels.
        split: train, val, test or all.
        split_column: The manifest's column of train/val/test; cut by group when empty.
        group_near_duplicates: As in the training whose split is frozen.
        home: Another home than the one that VIDPIPE_HOME names.
    """
    return publish_result(freeze_set(home, collection, split, split_column, group_near_duplicates))


@flow(name="promote")
def promote_flow(
    version: str | None = None,
    eval_set: str | None = None,
    force: bool = False,
    reason: str | None = None,
    approval: bool = False,
    home: str | None = None,
) -> dict[str, Any]:
    """Promote the challenger (or the given version) to champion if it passes the gate.

    Args:
        version: A version number; the challenger when empty.
        eval_set: Hash of a frozen evaluation set; the last one when empty.
        force: Promote against the gate; needs a reason.
        reason: Recorded with the decision.
        approval: What passes the gate waits for a person, who approves of it or not on this run's page. Needs
            a deployment. A refusal needs nobody.
        home: Another home than the one that VIDPIPE_HOME names.
    """
    veto = None
    if approval and not force:
        version, answer = _ask(home, version, eval_set)
        if answer:
            reason = f"approved: {answer.reason}" if answer.approve else reason
            veto = None if answer.approve else answer.reason
    return _publish_decision(promote_version(home, version, eval_set, force, reason, veto))


def _ask(home: str | None, version: str | None, eval_set: str | None) -> tuple[str, Approval | None]:
    """Suspend the run until a person answers; no question where the gate refuses.

    The answer is about one version: where another has become challenger meanwhile, that one is asked about.

    Raises:
        ConfigurationError: The run is none of a deployment, and could not go on later.
    """
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.deployment_id is None or run.parent_task_run_id is not None:
        raise ConfigurationError(
            "approval needs a run of the deployment `promote`.",
            next_step="prefect deployment run promote/promote --param approval=true",
        )
    weighed = weigh_version(home, version, eval_set)
    number = str(weighed.version)
    if weighed.decision != "promoted":
        return number, None
    evidence = decision_markdown({**weighed.to_dict(), "decision": "passes the gate; is it to serve?"})
    publish_markdown("decision", evidence)
    form = Approval.with_initial_data(description=evidence)
    return number, suspend_flow_run(wait_for_input=form, key=f"version-{number}")


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
    if result.decision in MOVES:
        told = {name: facts[name] for name in ("version", "decision", "reasons")}
        publish_events(lambda: [Event("promoted", f"model.{result.model}", told)])
    return facts
