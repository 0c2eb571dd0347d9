"""Promote and roll back: which version serves, and why, on record.

Alias and row live in two stores. So: write an intent row, move the alias, make the row final, publish. A
crash between any two is rolled forward by `settle` at the next start; an alias that somebody moved by
hand is recorded as `external`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.gate import Verdict, judge
from vidpipe.ports import Ports
from vidpipe.records import ModelVersion, Promotion, Scores, short_hash
from vidpipe.steps import scoring
from vidpipe.steps.evaluate import default_alias
from vidpipe.steps.runs import PROMOTION, Report, recorded

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PromoteReport(Report):
    """A decision and what it rests on."""

    model: str
    version: int
    """The champion after a promotion; the candidate after a refusal."""
    decision: str
    reasons: Sequence[str]
    evidence: Mapping[str, Any]


def promote(
    ports: Ports, version: str | None = None, *, force: bool = False, reason: str | None = None
) -> PromoteReport:
    """Make a version champion if the gate lets it: by default the challenger.

    Args:
        ports: The outside world.
        version: A version number or alias.
        force: Promote in spite of the gate's reasons; `reason` must say why.
        reason: Recorded with the decision.

    Raises:
        NotFound: No such version.
        ConfigurationError: Forced without a reason, or the test videos lack features.
    """
    if force and not reason:
        raise ConfigurationError(
            "--force needs a reason for the record.", next_step="pass --reason 'why this is right'."
        )
    with recorded(ports, "promote") as run:
        champion = _settle(ports)
        candidate = ports.registry.version(version or default_alias(ports))
        if candidate.version == champion:
            run.detail = {"decision": "unchanged", "version": champion}
            return PromoteReport(candidate.model, candidate.version, "unchanged", [], {})
        verdict = _judge(ports, candidate, champion)
        decision = "promoted" if not verdict.reasons else "forced" if force else "refused"
        evidence = {
            **verdict.evidence.to_dict(),
            "warnings": verdict.warnings,
            "reasons": verdict.reasons,
        }
        promotion = Promotion(0, champion, candidate.version, decision)
        why = reason or "; ".join(verdict.reasons) or None
        _record(ports, promotion, evidence, _eval_hash(ports, candidate), why)
        run.detail = {"decision": decision, "version": candidate.version, "from": champion}
        return PromoteReport(
            candidate.model,
            candidate.version,
            decision,
            [*verdict.reasons, *verdict.warnings],
            evidence,
        )


def rollback(ports: Ports, to: int | None = None, *, reason: str | None = None) -> PromoteReport:
    """Give the title back to the version that had it before, one step for each call, or to `to`.

    Nothing is computed: the restored version's predictions are still there.

    Raises:
        NotFound: There is no earlier champion, or `to` never was one.
    """
    with recorded(ports, "rollback") as run:
        champion = _settle(ports)
        past = _champions(ports.ledger.promotion_history(ports.registry.model))[:-1]
        candidates = [v for v in past if to is None or v == to]
        if champion is None or not candidates:
            what = f"version {to} was not champion before" if to else "there is no earlier champion"
            raise NotFound(f"{what}.", next_step="vidpipe models shows the versions.")
        target = candidates[-1]
        _record(ports, Promotion(0, champion, target, "rolled_back"), {}, None, reason)
        run.detail = {"decision": "rolled_back", "version": target, "from": champion}
        return PromoteReport(ports.registry.model, target, "rolled_back", [], {})


def settle(ports: Ports) -> int | None:
    """Finish what a crash left open, record what somebody did by hand; the champion's version.

    Every step that resolves `@champion` calls this first. A promotion that is at it this moment is left
    to finish by itself.
    """
    with ports.lease.beside(PROMOTION, wait=False) as entered:
        return _settle(ports) if entered else ports.registry.aliases().get("champion")


def _settle(ports: Ports) -> int | None:
    model = ports.registry.model
    for intent in ports.ledger.open_promotions(model):
        log.warning("promotion %s was interrupted; finishing it", intent.promotion_id)
        _carry_out(ports, intent)
    alias = ports.registry.aliases().get("champion")
    history = ports.ledger.promotion_history(model)
    recorded_version = history[-1].to_version if history else None
    if alias != recorded_version:
        log.warning("the champion alias was moved by hand, from %s to %s", recorded_version, alias)
        external = Promotion(0, recorded_version, alias, "external")
        ports.ledger.put_promotion(
            model, external, evidence={}, eval_set_hash=None, reason="alias moved outside vidpipe",
            actor="external", final=True,
        )  # fmt: skip
    return alias


def _record(
    ports: Ports,
    promotion: Promotion,
    evidence: Mapping[str, Any],
    eval_hash: str | None,
    reason: str | None,
) -> None:
    """Write the decision; one that moves the champion is an intent until the alias has moved."""
    moves = promotion.decision != "refused"
    promotion_id = ports.ledger.put_promotion(
        ports.registry.model, promotion, evidence=evidence, eval_set_hash=eval_hash, reason=reason,
        actor=ports.actor, final=not moves,
    )  # fmt: skip
    if moves:
        _carry_out(
            ports,
            Promotion(promotion_id, promotion.from_version, promotion.to_version, promotion.decision),
        )


def _carry_out(ports: Ports, intent: Promotion) -> None:
    assert intent.to_version is not None
    ports.registry.set_alias("champion", intent.to_version)
    if ports.registry.aliases().get("challenger") == intent.to_version:
        ports.registry.drop_alias("challenger")
    serve = intent.to_version if intent.decision == "rolled_back" else None
    ports.ledger.finish_promotion(intent.promotion_id, serve=serve)


def _champions(history: Sequence[Promotion]) -> list[int]:
    """Past champions up to the present one, as a stack: a rollback takes the top away."""
    stack: list[int] = []
    for promotion in history:
        if promotion.decision == "rolled_back" and promotion.to_version in stack:
            while stack[-1] != promotion.to_version:
                stack.pop()
        elif promotion.to_version is not None:
            stack.append(promotion.to_version)
    return stack


def _judge(ports: Ports, candidate: ModelVersion, champion: int | None) -> Verdict:
    """Both versions on the candidate's test videos, each in its own features."""
    bundle = ports.registry.load(candidate)
    test_ids = set(bundle.split_ids["test"])
    challenger = _scores(ports, candidate, test_ids, bundle.lstm, bundle.labels)
    baseline = _scores(ports, candidate, test_ids, bundle.baseline, bundle.labels)
    if champion is None:
        return judge(challenger, baseline, None)
    rival = ports.registry.version(str(champion))
    rival_bundle = ports.registry.load(rival)
    rival_scores = _scores(ports, candidate, test_ids, rival_bundle.lstm, rival_bundle.labels, rival)
    return judge(challenger, baseline, rival_scores)


def _scores(
    ports: Ports, candidate: ModelVersion, test_ids: set[str], network: Any, labels: Sequence[str],
    rival: ModelVersion | None = None,
) -> Scores:  # fmt: skip
    """Scores on the candidate's test videos; a label that the network does not know counts as an error."""
    spec = (rival or candidate).spec
    videos = scoring.labelled(ports, candidate.collection, spec)
    chosen = [v for v in videos if v.video_id in test_ids]
    if len(chosen) < len(test_ids):
        raise ConfigurationError(
            f"{len(test_ids) - len(chosen)} of {len(test_ids)} test videos of {candidate.collection!r} lack "
            f"features of set {spec.feature_set_id}, which version {(rival or candidate).version} needs.",
            next_step=f"vidpipe extract --collection {candidate.collection}",
        )
    known = [*labels, *sorted({v.label for v in chosen} - set(labels))]
    return scoring.score(network, scoring.load(ports, spec, chosen, known))[0]


def _eval_hash(ports: Ports, candidate: ModelVersion) -> str:
    return short_hash(sorted(ports.registry.load(candidate).split_ids["test"]))
