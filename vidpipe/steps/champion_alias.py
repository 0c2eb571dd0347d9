"""Champion alias: keeps MLflow's alias and the ledger's promotion history consistent (two-phase write).

They are in two stores. So: write an intent row, move the alias, tell MLflow who decided and why, make the row
final, publish. A crash between any two is rolled forward by `settle` at the next start, or closed as not
carried out when the registry no longer has the version. A decision asks for the version first, so that no
intent is written in vain. An alias that somebody moved by hand is recorded as `external`, unless its version
cannot serve.

Versions are compared by number and digest, since MLflow counts from 1 again in a new model or store.

The registry may be unreachable, damaged or half deleted. Then the champion on record keeps serving from its
local copy, and a problem says why.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vidpipe.errors import NotFound, RegistryUnreachable, StopError, UnsafeModel, VidpipeError
from vidpipe.ports import Ports
from vidpipe.ports.models import ModelBundle
from vidpipe.records.models import ModelVersion
from vidpipe.records.predictions import Intent, Promotion
from vidpipe.steps.evaluation_log import log_decision
from vidpipe.steps.runs import PROMOTION

log = logging.getLogger(__name__)


ODD = (RegistryUnreachable, StopError)
"""Errors of a registry that is away or not as it should be: videos are read and scored all the same."""
MOVES = ("promoted", "forced", "rolled_back")
"""Decisions that move the alias; one that refuses does not, and `external` found it moved."""


@dataclass(frozen=True, slots=True)
class Champion:
    """The serving version, and problems of the registry met on the way to it."""

    version: int | None
    problem: str | None = None
    digest: str | None = None
    """Of what was registered; None where that is not known."""

    def is_version(self, other: ModelVersion) -> bool:
        """Whether a version of the registry is the serving one, by number and digest."""
        return self.version == other.version and self.digest in (None, other.digest)


def settle(ports: Ports) -> Champion:
    """Recover: finish interrupted promotions, record aliases moved by hand; returns the champion.

    Every step that resolves `@champion` calls this first. A promotion that is at it this moment is left
    to finish by itself.
    """
    with ports.lease.beside(PROMOTION, wait=False) as entered:
        return settle_inside(ports) if entered else Champion(ports.registry.aliases().get("champion"))


def settle_inside(ports: Ports) -> Champion:
    """Recover, for callers that hold the promotion lock already."""
    model = ports.registry.model
    for intent in ports.ledger.decisions.open_promotions(model):
        number = intent.promotion.promotion_id
        log.warning("promotion %s was interrupted; finishing it", number)
        try:
            _carry_out(ports, intent)
        except (NotFound, UnsafeModel) as error:
            log.warning("promotion %s was not carried out: %s", number, error.message)
    alias = ports.registry.aliases().get("champion")
    found = None if alias is None else _version(ports, alias)
    has_its_number = isinstance(found, ModelVersion) and ports.ledger.versions.recognise(found.identity)
    recorded = _recorded(ports)
    if alias == recorded.to_version and (
        not isinstance(found, ModelVersion)
        or (
            has_its_number
            and _is_meant(recorded, found)
            and ports.ledger.versions.last_model() in (None, model)
        )
    ):
        return Champion(alias, digest=recorded.to_digest)
    if problem := _alias_problem(ports, found, recorded):
        log.error("%s", problem)
        return Champion(recorded.to_version, problem, recorded.to_digest)
    version = found if isinstance(found, ModelVersion) else None
    _take_in(ports, recorded, version)
    return Champion(alias, digest=version.digest if version else None)


def _take_in(ports: Ports, recorded: Promotion, found: ModelVersion | None) -> None:
    """Record an alias moved elsewhere; MLflow is told, unless the home that moved it has said who and why."""
    elsewhere = _another_home(ports, found)
    who = elsewhere["decided_by"] if elsewhere else "external"
    reason = (
        f"alias moved by another home: {elsewhere['decision']} by {who} at {elsewhere['decided_at']}"
        if elsewhere
        else "alias moved outside vidpipe"
    )
    alias = found.version if found else None
    log.warning("the champion alias was moved, from %s to %s: %s", recorded.to_version, alias, reason)
    move = Promotion(0, recorded.to_version, alias, "external")
    number = ports.ledger.decisions.put_promotion(
        ports.registry.model, move, evidence={}, eval_set_hash=None, reason=reason, actor=who,
        final=found is None or elsewhere is not None, to=found.identity if found else None,
    )  # fmt: skip
    if found and not elsewhere:
        _carry_out(ports, _intent(ports, number))


def _another_home(ports: Ports, found: ModelVersion | None) -> Mapping[str, str] | None:
    """Tags of another home's decision on a version; MLflow itself keeps neither who nor why."""
    if found is None or not found.decided or found.decided["decision"] in ("refused", "external"):
        return None
    history = ports.ledger.decisions.promotion_history(ports.registry.model)
    ours = {(str(p.promotion_id), p.decision) for p in history if p.to_version == found.version}
    tags = found.decided
    return None if (tags["promotion_id"], tags["decision"]) in ours else tags


def recorded_champion(ports: Ports) -> int | None:
    """The champion by the ledger's promotion history alone."""
    return _recorded(ports).to_version


def _recorded(ports: Ports) -> Promotion:
    """The promotion that made the champion."""
    history = ports.ledger.decisions.promotion_history(ports.registry.model)
    return history[-1] if history else Promotion(0, None, None, "none")


def _version(ports: Ports, number: int) -> ModelVersion | NotFound | UnsafeModel:
    try:
        return ports.registry.version(str(number))
    except (NotFound, UnsafeModel) as error:
        return error


def _is_meant(decision: Promotion, version: ModelVersion) -> bool:
    """Whether the registry's version of that number is the one that was promoted, by digest."""
    return decision.to_digest in (None, version.digest)


def _see_that_it_is_meant(decision: Promotion, version: ModelVersion) -> None:
    """Raise NotFound where the number belongs to another version now."""
    if not _is_meant(decision, version):
        raise another(version)


def another(version: ModelVersion) -> NotFound:
    """Error text for a number that belonged to another version when it began to serve."""
    return NotFound(
        f"version {version.version} of {version.model} in the registry is not the one that had this number.",
        next_step="vidpipe promote decides on the new one.",
    )


def _alias_problem(
    ports: Ports, found: ModelVersion | NotFound | UnsafeModel | None, recorded: Promotion
) -> str | None:
    """The reason to ignore the alias: its version cannot serve, or is deleted; None if it is valid."""
    if isinstance(found, VidpipeError):
        back = f"vidpipe promote {recorded.to_version or 'VERSION'}"
        return f"the alias champion points to a version that cannot serve: {found.message} Next: {back}"
    if found is not None or recorded.to_version is None:
        return None
    before = _version(ports, recorded.to_version)
    if isinstance(before, ModelVersion) and _is_meant(recorded, before):
        return None
    return (
        f"version {recorded.to_version}, the champion, is gone from the registry. "
        "Next: vidpipe train and vidpipe promote, or restore MLflow's store."
    )


def champion(ports: Ports) -> tuple[ModelVersion | None, list[str]]:
    """Resolve the champion, with verified files and the problems met on the way; None without one.

    Raises:
        VidpipeError: The registry cannot give it, and the home has no copy.
    """
    try:
        found = settle(ports)
    except ODD as error:
        recorded_version = recorded_champion(ports)
        if recorded_version is None:
            raise
        return _copy(ports, recorded_version, error)
    if found.version is None:
        return None, [found.problem] if found.problem else []
    version, problems = verified(ports, found.version)
    return version, [found.problem, *problems[1:]] if found.problem else problems


def verified(ports: Ports, number: int) -> tuple[ModelVersion, list[str]]:
    """Verify a version's files against their hash; else fall back to its local copy, with the reason.

    Raises:
        VidpipeError: The registry cannot give it, and the home has no copy.
    """
    try:
        version = ports.registry.version(str(number))
        if not ports.ledger.versions.recognise(version.identity):
            raise another(version)
        ports.registry.load(version)
    except ODD as error:
        return _copy(ports, number, error)
    return version, []


def bundle_of(ports: Ports, version: ModelVersion) -> ModelBundle:
    """Load a verified version's bundle, from the local copy if the registry has become unreachable."""
    try:
        return ports.registry.load(version)
    except ODD:
        if version.is_copy:
            raise
        copy = ports.registry.kept(version.version, version.digest)
        return ports.registry.load(copy)


def _copy(ports: Ports, number: int, error: VidpipeError) -> tuple[ModelVersion, list[str]]:
    try:
        copy = ports.registry.kept(number, ports.ledger.versions.digest_of(number))
        ports.registry.load(copy)
    except (NotFound, UnsafeModel) as unusable:
        log.error("%s", unusable)
        raise error from unusable
    log.error("%s Using the local copy of version %d.", error, number)
    return copy, [f"{error} Scored with the local copy of version {number}."]


def serving(ports: Ports) -> set[int]:
    """Versions that a night scores with: the champion on record, and those that collections serve."""
    recorded_version = recorded_champion(ports)
    return set(ports.ledger.predictions.serving_versions().values()) | (
        set() if recorded_version is None else {recorded_version}
    )


def record(
    ports: Ports,
    promotion: Promotion,
    *,
    evidence: Mapping[str, Any],
    eval_set_hash: str | None,
    reason: str | None,
) -> int:
    """Record a decision and carry it out; it is an intent row until the alias has moved and MLflow is told.

    Returns:
        Its id in `promotions`.

    Raises:
        NotFound: The registry does not have the version that is to serve; nothing is written.
        UnsafeModel: It has, and another tool registered it; nothing is written.
    """
    to = ports.registry.version(str(promotion.to_version))
    _see_that_it_is_meant(promotion, to)
    promotion_id = ports.ledger.decisions.put_promotion(
        ports.registry.model, promotion, evidence=evidence, eval_set_hash=eval_set_hash, reason=reason,
        actor=ports.actor, final=False, to=to.identity,
    )  # fmt: skip
    _carry_out(ports, _intent(ports, promotion_id))
    return promotion_id


def _intent(ports: Ports, promotion_id: int) -> Intent:
    """An intent as it stands in the ledger, so that it is carried out alike now and after a crash."""
    found = ports.ledger.decisions.open_promotions(ports.registry.model)
    return next(intent for intent in found if intent.promotion.promotion_id == promotion_id)


def earlier_champions(ports: Ports) -> list[Promotion]:
    """Earlier champions' promotions as a stack, from which each rollback pops one."""
    return _champions(ports.ledger.decisions.promotion_history(ports.registry.model))[:-1]


def _carry_out(ports: Ports, intent: Intent) -> None:
    decision = intent.promotion
    assert decision.to_version is not None
    try:
        _see_that_it_is_meant(decision, ports.registry.version(str(decision.to_version)))
        if decision.decision in MOVES:
            _move(ports, decision.to_version)
    except (NotFound, UnsafeModel) as error:
        ports.ledger.decisions.abandon_promotion(decision.promotion_id, why=error.message)
        raise
    log_decision(ports, intent)
    serve = decision.to_version if decision.decision == "rolled_back" else None
    ports.ledger.decisions.finish_promotion(decision.promotion_id, serve=serve)


def _move(ports: Ports, version: int) -> None:
    """The champion's alias to a version, which is no longer the challenger."""
    ports.registry.set_alias("champion", version)
    if ports.registry.aliases().get("challenger") == version:
        ports.registry.drop_alias("challenger")


def _champions(history: Sequence[Promotion]) -> list[Promotion]:
    stack: list[Promotion] = []
    for promotion in history:
        known = [_same(promotion, earlier) for earlier in stack]
        if promotion.decision == "rolled_back" and any(known):
            while not _same(promotion, stack[-1]):
                stack.pop()
        elif promotion.to_version is not None and not any(known[-1:]):
            stack.append(promotion)
    return stack


def _same(one: Promotion, other: Promotion) -> bool:
    return (one.to_version, one.to_digest) == (other.to_version, other.to_digest)
