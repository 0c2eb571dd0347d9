"""Promotion of a model version through the gate, and rollback."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from vidpipe.errors import ConfigurationError, NotFound, UnsafeModel
from vidpipe.evaluation.evidence import GateInput
from vidpipe.evaluation.gate import Policy, Verdict, judge
from vidpipe.ports import Ports
from vidpipe.records.predictions import Promotion
from vidpipe.steps.champion_alias import (
    Champion,
    another,
    earlier_champions,
    record,
    settle,
    settle_inside,
)
from vidpipe.steps.evaluate import default_alias
from vidpipe.steps.gather_evidence import gather_evidence
from vidpipe.steps.runs import Result, recorded

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PromoteResult(Result):
    """Result of `vidpipe promote` and `rollback`: the decision and its evidence."""

    model: str
    version: int
    """The champion after a promotion; the candidate after a refusal."""
    decision: str
    reasons: Sequence[str]
    warnings: Sequence[str]
    evidence: Mapping[str, Any]


def promote(
    ports: Ports,
    version: str | None = None,
    *,
    eval_set: str | None = None,
    force: bool = False,
    reason: str | None = None,
    veto: str | None = None,
) -> PromoteResult:
    """Promote a version, by default the challenger, if it passes the gate.

    Args:
        ports: The outside world.
        version: A version number or alias.
        eval_set: Hash of a frozen evaluation set; by default the one chosen last, else the version's own
            test split.
        force: Promote in spite of the gate's reasons; `reason` must say why.
        reason: Recorded with the decision.
        veto: Why a person does not approve of it: one more reason against it.

    Raises:
        NotFound: No such version or evaluation set.
        ConfigurationError: Forced without a reason, or videos of the set lack features.
    """
    if force and not reason:
        raise ConfigurationError(
            "--force needs a reason for the record.", next_step="pass --reason 'why this is right'."
        )
    with recorded(ports, "promote") as run:
        standing = settle_inside(ports)
        champion = standing.version
        candidate = ports.registry.version(version or default_alias(ports))
        if standing.is_version(candidate):
            reasons = _put_back(ports, standing)
            run.detail = {"decision": "unchanged", "version": champion}
            return PromoteResult(candidate.model, candidate.version, "unchanged", reasons, [], {})
        given = gather_evidence(ports, candidate, _rival(ports, standing), eval_set)
        verdict = judge(given, ports.limits.policy)
        if veto is not None:
            verdict = replace(verdict, reasons=(*verdict.reasons, f"not approved: {veto}"))
        decision = "promoted" if not verdict.reasons else "forced" if force else "refused"
        evidence = _evidence(given, verdict, ports.limits.policy)
        why = reason or "; ".join(verdict.reasons) or None
        record(
            ports, Promotion(0, champion, candidate.version, decision, candidate.digest),
            evidence=evidence, eval_set_hash=given.eval_set.set_hash, reason=why,
        )  # fmt: skip
        run.videos = len(given.eval_set.videos)
        run.detail = {"decision": decision, "version": candidate.version, "from": champion}
        return PromoteResult(
            candidate.model, candidate.version, decision, verdict.reasons, verdict.warnings, evidence
        )


def weigh(ports: Ports, version: str | None = None, *, eval_set: str | None = None) -> PromoteResult:
    """Weigh a version as `promote` does, without a record: what the gate would decide, and its evidence.

    Raises:
        NotFound: No such version or evaluation set.
        ConfigurationError: Videos of the set lack features.
    """
    standing = settle(ports)
    candidate = ports.registry.version(version or default_alias(ports))
    if standing.is_version(candidate):
        return PromoteResult(candidate.model, candidate.version, "unchanged", [], [], {})
    given = gather_evidence(ports, candidate, _rival(ports, standing), eval_set)
    verdict = judge(given, ports.limits.policy)
    return PromoteResult(
        candidate.model, candidate.version, "refused" if verdict.reasons else "promoted",
        verdict.reasons, verdict.warnings, _evidence(given, verdict, ports.limits.policy),
    )  # fmt: skip


def rollback(ports: Ports, to: int | None = None, *, reason: str | None = None) -> PromoteResult:
    """Roll back to the previous champion, one step for each call, or to `to`.

    Nothing is computed: the restored version's predictions are still there.

    Raises:
        NotFound: There is no earlier champion, `to` never was one, or the registry no longer has it.
    """
    with recorded(ports, "rollback") as run:
        champion = settle_inside(ports).version
        candidates = [p for p in earlier_champions(ports) if to is None or p.to_version == to]
        if champion is None or not candidates:
            what = f"version {to} was not champion before" if to else "there is no earlier champion"
            raise NotFound(f"{what}.", next_step="vidpipe models shows the versions.")
        target = _there(ports, candidates[-1])
        rolled_back = Promotion(0, champion, target, "rolled_back", candidates[-1].to_digest)
        record(ports, rolled_back, evidence={}, eval_set_hash=None, reason=reason)
        run.detail = {"decision": "rolled_back", "version": target, "from": champion}
        return PromoteResult(ports.registry.model, target, "rolled_back", [], [], {})


def _put_back(ports: Ports, standing: Champion) -> list[str]:
    """Restore the champion alias where it points to a version that cannot serve; returns the reason."""
    if standing.problem is None or standing.version is None:
        return []
    ports.registry.set_alias("champion", standing.version)
    return [f"the alias champion is back at version {standing.version}; {standing.problem}"]


def _rival(ports: Ports, standing: Champion) -> int | None:
    """The champion to compare with; None where the registry has lost it, or its files."""
    if standing.version is None:
        return None
    try:
        champion = ports.registry.version(str(standing.version))
        if not standing.is_version(champion):
            raise another(champion)
        ports.registry.load(champion)
    except (NotFound, UnsafeModel) as error:
        log.warning("the candidate is compared with no champion: %s", error.message)
        return None
    return standing.version


def _there(ports: Ports, target: Promotion) -> int:
    """The version's number; raises NotFound, with the remaining earlier champions, if it is lost."""
    there = {v.version: v.digest for v in ports.registry.versions()}

    def is_there(decision: Promotion) -> bool:
        number, digest = decision.to_version, decision.to_digest
        return number in there and digest in (None, there[number])

    if target.to_version is not None and is_there(target):
        return target.to_version
    earlier = [p.to_version for p in reversed(earlier_champions(ports)) if is_there(p)]
    left = list(dict.fromkeys(earlier))
    raise NotFound(
        f"version {target.to_version} was champion before, and the model {ports.registry.model} no longer "
        f"has it; earlier champions that it has: {', '.join(map(str, left)) or 'none'}.",
        next_step=f"vidpipe rollback --to {left[0]}"
        if left
        else "vidpipe models shows what can be promoted.",
    )


def _evidence(given: GateInput, verdict: Verdict, policy: Policy) -> dict[str, Any]:
    """All numbers of a decision, as stored in `promotions.evidence`."""
    eval_set = given.eval_set
    return {
        **verdict.evidence.to_dict(),
        "eval_set": {
            "eval_set_hash": eval_set.set_hash, "collection": eval_set.collection, "split": eval_set.split,
            "videos": len(eval_set.videos), "groups": len({v.group for v in eval_set.videos}),
            "frozen": eval_set.frozen,
        },
        "policy": asdict(policy),
        "reasons": list(verdict.reasons),
        "warnings": list(verdict.warnings),
    }  # fmt: skip
