"""Logging of evaluations and decisions to MLflow; where it does not answer, they hold all the same."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any

from vidpipe.errors import VidpipeError
from vidpipe.ports import Ports
from vidpipe.records.models import OF_SETS, LoggedEvaluation, ScoredVideos
from vidpipe.records.predictions import Intent

log = logging.getLogger(__name__)

VALIDATION = {
    "promoted": "approved", "forced": "forced", "refused": "rejected", "rolled_back": "approved",
}  # fmt: skip
"""Decision to the tag `validation_status` of a version; an alias moved by hand says nothing of it.
Source: https://mlflow.org/docs/latest/ml/model-registry/workflow/, "Annotate and tag models"."""


def log_decision(ports: Ports, intent: Intent) -> None:
    """Log a decision with its evidence, and tag the version with who decided what, when and why.

    A second time, after a crash, it goes on where the first ended.
    """
    decision, evidence = intent.promotion.decision, intent.evidence
    assert intent.promotion.to_version is not None
    identity = {
        "vidpipe.promotion_id": str(intent.promotion.promotion_id),
        "vidpipe.decided_at": intent.decided_at.replace(tzinfo=UTC).isoformat(timespec="seconds"),
    }
    status = {"validation_status": VALIDATION[decision]} if decision in VALIDATION else {}
    tags = {
        **status,
        "vidpipe.decision": decision,
        "vidpipe.decided_by": intent.actor,
        "vidpipe.reason": intent.reason or "",
        **identity,
    }
    eval_set = evidence.get("eval_set") or {}
    found = LoggedEvaluation(
        name=decision, version=intent.promotion.to_version,
        facts={"promotion_id": intent.promotion.promotion_id, "reason": intent.reason, **evidence},
        metrics=dict(_numbers({name: evidence.get(name) for name in ("challenger", "champion", "baseline")})),
        dataset=f"{eval_set.get('collection')} {eval_set.get('split')}",
        dataset_hash=eval_set.get("eval_set_hash"), version_tags=tags, run_tags=identity,
    )  # fmt: skip
    tell(ports, found)


def log_evaluation(ports: Ports, result: Mapping[str, Any], dataset_hash: str, scored: ScoredVideos) -> None:
    """Log the result of `vidpipe evaluate`, by its `--json` keys."""
    known = ("accuracy", "macro_f1", "top_3", "calibration_error", *OF_SETS)
    headline = [name for name in known if name in result]
    found = LoggedEvaluation(
        name="evaluate", version=result["version"], facts=result,
        metrics={f"{result['split']}.{name}": float(result[name]) for name in headline},
        dataset=f"{result['collection']} {result['split']}", dataset_hash=dataset_hash,
        scored=scored,
    )  # fmt: skip
    tell(ports, found)


def tell(ports: Ports, found: LoggedEvaluation) -> None:
    """Log an evaluation; a failure is only a warning."""
    try:
        ports.registry.evaluations.log(found)
    except VidpipeError as error:
        log.warning("MLflow has no record of it: %s", error.message)


def _numbers(scores: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Headline scores as metrics: `challenger.accuracy`, `champion.macro_f1`."""
    for name, some in scores.items():
        for key in ("accuracy", "macro_f1", "calibration_error", *OF_SETS):
            if some and isinstance(value := some.get(key), int | float):
                yield f"{name}.{key}", float(value)
