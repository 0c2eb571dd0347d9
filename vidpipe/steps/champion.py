"""Who is champion: the alias in the registry, its history in the ledger, and how the two stay one.

They live in two stores. So: write an intent row, move the alias, make the row final, publish. A crash between
any two is rolled forward by `settle` at the next start, or closed as not carried out when the registry no
longer has the version. Whoever decides asks for the version first, so that no intent is written in vain. An
alias that somebody moved by hand is recorded as `external`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from vidpipe.errors import NotFound, UnsafeModel
from vidpipe.ports import Ports
from vidpipe.records.videos import Promotion
from vidpipe.steps.runs import PROMOTION

log = logging.getLogger(__name__)


def settle(ports: Ports) -> int | None:
    """Finish what a crash left open, record what somebody did by hand; the champion's version.

    Every step that resolves `@champion` calls this first. A promotion that is at it this moment is left
    to finish by itself.
    """
    with ports.lease.beside(PROMOTION, wait=False) as entered:
        return settle_inside(ports) if entered else ports.registry.aliases().get("champion")


def settle_inside(ports: Ports) -> int | None:
    """The same for whoever is in the promotion room already."""
    model = ports.registry.model
    for intent in ports.ledger.open_promotions(model):
        log.warning("promotion %s was interrupted; finishing it", intent.promotion_id)
        try:
            _carry_out(ports, intent)
        except (NotFound, UnsafeModel) as error:
            log.warning("promotion %s was not carried out: %s", intent.promotion_id, error.message)
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


def record(
    ports: Ports,
    promotion: Promotion,
    *,
    evidence: Mapping[str, Any],
    eval_set_hash: str | None,
    reason: str | None,
) -> None:
    """Write the decision; one that moves the champion is an intent until the alias has moved.

    Raises:
        NotFound: The registry does not have the version that is to serve; nothing is written.
        UnsafeModel: It has, and another tool registered it; nothing is written.
    """
    moves = promotion.decision != "refused"
    if moves:
        ports.registry.version(str(promotion.to_version))
    promotion_id = ports.ledger.put_promotion(
        ports.registry.model, promotion, evidence=evidence, eval_set_hash=eval_set_hash, reason=reason,
        actor=ports.actor, final=not moves,
    )  # fmt: skip
    if moves:
        _carry_out(
            ports,
            Promotion(promotion_id, promotion.from_version, promotion.to_version, promotion.decision),
        )


def earlier_champions(ports: Ports) -> list[int]:
    """Champions before the present one, as a stack: a rollback takes the top away."""
    return _champions(ports.ledger.promotion_history(ports.registry.model))[:-1]


def _carry_out(ports: Ports, intent: Promotion) -> None:
    assert intent.to_version is not None
    try:
        ports.registry.version(str(intent.to_version))
        ports.registry.set_alias("champion", intent.to_version)
    except (NotFound, UnsafeModel) as error:
        ports.ledger.abandon_promotion(intent.promotion_id, why=error.message)
        raise
    if ports.registry.aliases().get("challenger") == intent.to_version:
        ports.registry.drop_alias("challenger")
    serve = intent.to_version if intent.decision == "rolled_back" else None
    ports.ledger.finish_promotion(intent.promotion_id, serve=serve)


def _champions(history: Sequence[Promotion]) -> list[int]:
    stack: list[int] = []
    for promotion in history:
        if promotion.decision == "rolled_back" and promotion.to_version in stack:
            while stack[-1] != promotion.to_version:
                stack.pop()
        elif promotion.to_version is not None:
            stack.append(promotion.to_version)
    return stack
