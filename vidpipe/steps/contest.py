"""Champion and challenger before the same videos: which set, who leaks, what each answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.evaluation.gate import Contest, Training
from vidpipe.ports import ModelBundle, Ports
from vidpipe.records.models import Answers, EvaluationSet, EvaluationVideo, LabelledVideo, ModelVersion
from vidpipe.records.videos import WHOLE
from vidpipe.steps import scoring

AGREEMENT = 0.9
"""A night agrees when the challenger gives at least this share of its videos the champion's label."""


def evaluation_set(
    collection: str, split: str, videos: Sequence[LabelledVideo], *, frozen: bool
) -> EvaluationSet:
    """Labelled videos as a set, in order of their ids."""
    members = sorted(EvaluationVideo(v.video_id, v.label, v.group, v.span or WHOLE) for v in videos)
    return EvaluationSet(collection, split, tuple(members), frozen)


def arrange(ports: Ports, candidate: ModelVersion, champion: int | None, eval_set: str | None) -> Contest:
    """Both versions' answers to one set, each in its own features.

    Args:
        ports: The outside world.
        candidate: The challenger.
        champion: Version of the champion, if there is one.
        eval_set: Hash of a frozen set; by default the one chosen last, else the candidate's test split.

    Raises:
        NotFound: No such frozen set.
        ConfigurationError: Videos of the set lack features that a version needs.
    """
    bundle = ports.registry.load(candidate)
    exam = _exam(ports, candidate, bundle, eval_set)
    mine = scoring.exam_features(ports, candidate, exam)
    facts: dict[str, Any] = {
        "exam": exam,
        "challenger": scoring.answer(bundle.classifier, bundle.labels, mine),
        "baselines": {
            name: scoring.answer(network, bundle.labels, mine) for name, network in bundle.baselines.items()
        },
        "training": _training(bundle),
    }
    if champion is not None:
        facts |= _champion_facts(ports, candidate, ports.registry.version(str(champion)), exam)
    return Contest(**facts)


def _champion_facts(
    ports: Ports, candidate: ModelVersion, rival: ModelVersion, exam: EvaluationSet
) -> dict[str, Any]:
    bundle = ports.registry.load(rival)
    features = scoring.exam_features(ports, rival, exam)
    answers: Answers = scoring.answer(bundle.classifier, bundle.labels, features)
    return {
        "champion": answers,
        "champion_training": _training(bundle),
        "same_features": rival.spec == candidate.spec,
        "agreeing_nights": ports.ledger.agreeing_nights(candidate.identity, rival.identity, AGREEMENT),
    }


def _exam(ports: Ports, candidate: ModelVersion, bundle: ModelBundle, eval_set: str | None) -> EvaluationSet:
    frozen = ports.ledger.evaluation_set(eval_set)
    if frozen is not None:
        return frozen
    if eval_set is not None:
        known = ", ".join(ports.ledger.evaluation_sets()) or "none"
        raise NotFound(
            f"no evaluation set {eval_set!r} (frozen: {known}).",
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


def _training(bundle: ModelBundle) -> Training:
    seen = frozenset(bundle.split_ids["train"]) | frozenset(bundle.split_ids["val"])
    return Training(seen, frozenset(bundle.training_groups))
