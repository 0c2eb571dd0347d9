"""Evidence for the promotion gate: both versions on the same videos, and what they were trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.evaluation.evidence import GateInput, Training
from vidpipe.ports import Ports
from vidpipe.ports.models import ModelBundle
from vidpipe.records.models import EvaluationSet, EvaluationVideo, LabelledVideo, ModelVersion, Predictions
from vidpipe.records.windows import WHOLE
from vidpipe.steps import scoring
from vidpipe.steps.label_kinds import WORDS

AGREEMENT = 0.9
"""A night agrees when the challenger gives at least this share of its videos the champion's label."""


def evaluation_set(
    collection: str, split: str, videos: Sequence[LabelledVideo], *, frozen: bool
) -> EvaluationSet:
    """Evaluation set of labelled videos, in order of their ids."""
    members = sorted(EvaluationVideo(v.video_id, v.label, v.group, v.span or WHOLE) for v in videos)
    return EvaluationSet(collection, split, tuple(members), frozen, any(v.multi_label for v in videos))


def gather_evidence(
    ports: Ports, candidate: ModelVersion, champion: int | None, set_hash: str | None
) -> GateInput:
    """Predictions of both versions on one evaluation set, each from its own features.

    Args:
        ports: The outside world.
        candidate: The challenger.
        champion: Version of the champion, if there is one.
        set_hash: Of a frozen set; by default the one chosen last, else the candidate's test split.

    Raises:
        NotFound: No such frozen set.
        ConfigurationError: Videos of the set lack features that a version needs, or have several labels where
            the candidate gives one, or the reverse.
    """
    bundle = ports.registry.load(candidate)
    eval_set = _evaluation_set(ports, candidate, bundle, set_hash)
    _refuse_other_kind(candidate, eval_set)
    features = scoring.evaluation_features(ports, candidate, eval_set)
    facts: dict[str, Any] = {
        "eval_set": eval_set,
        "challenger": scoring.predictions_of(bundle.classifier, bundle.labels, features, bundle.thresholds()),
        "baselines": {
            name: scoring.predictions_of(network, bundle.labels, features, bundle.thresholds(name))
            for name, network in bundle.baselines.items()
        },
        "training": _training(bundle),
    }
    if champion is not None:
        facts |= _champion_facts(ports, candidate, ports.registry.version(str(champion)), eval_set)
    return GateInput(**facts)


def _champion_facts(
    ports: Ports, candidate: ModelVersion, rival: ModelVersion, eval_set: EvaluationSet
) -> dict[str, Any]:
    if rival.multi_label != eval_set.multi_label:
        return {"other_kind": True}
    bundle = ports.registry.load(rival)
    features = scoring.evaluation_features(ports, rival, eval_set)
    predictions: Predictions = scoring.predictions_of(
        bundle.classifier, bundle.labels, features, bundle.thresholds()
    )
    return {
        "champion": predictions,
        "champion_training": _training(bundle),
        "same_features": rival.spec == candidate.spec,
        "agreeing_nights": ports.ledger.decisions.agreeing_nights(
            candidate.identity, rival.identity, AGREEMENT
        ),
    }


def _evaluation_set(
    ports: Ports, candidate: ModelVersion, bundle: ModelBundle, set_hash: str | None
) -> EvaluationSet:
    frozen = ports.ledger.decisions.evaluation_set(set_hash)
    if frozen is not None:
        return frozen
    if set_hash is not None:
        known = ", ".join(ports.ledger.decisions.evaluation_sets()) or "none"
        raise NotFound(
            f"no evaluation set {set_hash!r} (frozen: {known}).",
            next_step="vidpipe freeze-eval --collection NAME --split test",
        )
    test_ids = set(bundle.split_ids["test"])
    videos = scoring.labelled(ports, candidate.collection, candidate.spec)
    chosen = [v for v in videos if v.video_id in test_ids]
    gone = test_ids - {v.video_id for v in chosen}
    if gone:
        raise ConfigurationError(
            f"{len(gone)} of {len(test_ids)} test videos of {candidate.collection!r} are "
            f"gone, or lack features of set {candidate.spec.feature_set_id}.",
            next_step=f"vidpipe extract --collection {candidate.collection}, or train again.",
        )
    return evaluation_set(candidate.collection, "test", chosen, frozen=False)


def _refuse_other_kind(candidate: ModelVersion, eval_set: EvaluationSet) -> None:
    if candidate.multi_label != eval_set.multi_label:
        raise ConfigurationError(
            f"version {candidate.version} gives {WORDS[candidate.multi_label]}; the evaluation set "
            f"{eval_set.set_hash} of {eval_set.collection!r} has {WORDS[eval_set.multi_label]}.",
            next_step=f"vidpipe freeze-eval --collection {candidate.collection}, or pass its --eval-set.",
        )


def _training(bundle: ModelBundle) -> Training:
    seen = frozenset(bundle.split_ids["train"]) | frozenset(bundle.split_ids["val"])
    return Training(seen, frozenset(bundle.training_groups))
