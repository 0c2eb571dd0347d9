"""Batch classification: predictions for videos, and windows of long ones, from stored features.

No video is opened. The version is resolved once, so that a promotion in mid-run never mixes versions. A
collection switches to a new champion as a whole, when all its videos have been scored; until then the version
that it serves scores its new arrivals too. So there is new work, in collections that the champion or no
version serves, and backfill of the archive, in collections that an older version serves.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vidpipe.errors import IncompatibleFeatures
from vidpipe.ports import Ports
from vidpipe.records.features import SkippedFeatures
from vidpipe.records.models import ModelVersion
from vidpipe.steps.champion_alias import ODD, champion, settle, verified
from vidpipe.steps.label_kinds import WORDS, of_other_kind, refuse_other_kind
from vidpipe.steps.lookup import require_collection
from vidpipe.steps.lost_parts import forget_damaged
from vidpipe.steps.novelty import novelty_model
from vidpipe.steps.runs import Result, RunLog, recorded
from vidpipe.steps.score_shards import ScoreShard, cut, work

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClassifyResult(Result):
    """Result of `vidpipe classify`."""

    run_id: int
    model: str
    version: int
    classified: int
    skipped: int
    """Videos that this version had scored already."""
    failed: int
    """Videos that have features, but none that this version can read."""
    remaining: int
    """Videos of the archive that the time budget left to another run."""
    problems: Sequence[str] = ()
    """What is wrong with the registry, though it was scored."""
    is_complete: bool = True
    """False where new arrivals could not be scored, for lack of the version that their collection serves."""


def classify(
    ports: Ports,
    collection: str | None = None,
    *,
    model: str = "champion",
    backfill: bool = False,
    budget_s: float | None = None,
    resolved: tuple[ModelVersion, Sequence[str]] | None = None,
) -> ClassifyResult:
    """Classify every present video that the version has not classified.

    Args:
        ports: The outside world.
        collection: One collection, or all.
        model: champion, challenger, or a version number.
        backfill: Only the archive, the newest collections first.
        budget_s: Seconds for the archive; None for all that it takes. The news are always done.
        resolved: The champion and what is wrong with it, where the caller has asked.

    Raises:
        NotFound: No such collection, version or alias.
        ConfigurationError: The collection has labels of another kind than the version gives: several a video,
            or one. Where all are asked for, such collections are passed over.
        IncompatibleFeatures: The videos' features were made by another spec than the version's.
        LeaseHeld: Another run is at work.
    """
    deadline = None if budget_s is None else time.monotonic() + budget_s
    with recorded(ports, "classify") as run:
        require_collection(ports, collection)
        version, is_champion, problems = (
            (resolved[0], True, list(resolved[1])) if resolved else _resolved(ports, model)
        )
        if collection in of_other_kind(ports, version):
            refuse_other_kind(ports, version, str(collection))
        scorer = _Scorer(ports, run, version)
        skipped = ports.ledger.predictions.count_scored(version.identity, collection)
        remaining, unserved = 0, list[str]()
        if is_champion:
            classified, remaining = _score_as_champion(scorer, collection, deadline, backfill=backfill)
            unserved = _score_for_serving(scorer, problems)
        else:
            classified = scorer.score([collection] if collection else None)
        problems += scorer.problems
        failed = 0 if backfill else _unreadable(ports, version, collection, scored=classified + skipped)
        run.videos, run.failed = classified, failed
        run.detail = {
            "version": version.version, "skipped": skipped, "collection": collection, "remaining": remaining,
        }  # fmt: skip
        run.status = "failed" if unserved else "degraded" if problems else run.status
        return ClassifyResult(
            run.run_id, version.model, version.version, classified, skipped, failed, remaining,
            problems + unserved, not unserved,
        )  # fmt: skip


def _resolved(ports: Ports, model: str) -> tuple[ModelVersion, bool, list[str]]:
    """Resolve the requested version: the version, whether it is the champion, and registry problems."""
    if model != "champion":
        standing = settle(ports)
        version = ports.registry.version(model)
        return version, standing.is_version(version), []
    found, problems = champion(ports)
    return found or ports.registry.version("champion"), True, problems


def shadow(ports: Ports, run: RunLog, budget_s: float) -> dict[str, Any] | None:
    """Shadow scoring: the challenger scores what the champion scores, for comparison; None without one.

    Its rows serve no collection. The value counts the videos that it scored, and of those that both have
    scored, how many were given the same label.
    """
    aliases = ports.registry.aliases()
    champion, challenger = aliases.get("champion"), aliases.get("challenger")
    if champion is None or challenger is None or challenger == champion:
        return None
    mine, theirs = (ports.registry.version(str(number)) for number in (challenger, champion))
    scored = _Scorer(ports, run, mine).score(None, time.monotonic() + budget_s)
    compared, agreeing = ports.ledger.decisions.shadow_agreement(run.run_id, mine.identity, theirs.identity)
    return {
        "version": challenger, "champion": champion, "videos": scored, "compared": compared,
        "agreeing": agreeing, "digest": mine.digest, "champion_digest": theirs.digest,
    }  # fmt: skip


class _Scorer:
    """Scores collections with one version in one run."""

    def __init__(self, ports: Ports, run: RunLog, version: ModelVersion) -> None:
        self.ports, self.run, self.version = ports, run, version
        self.problems: list[str] = []
        """Videos that were not scored, as their features cannot be read."""
        self._other_kind = of_other_kind(ports, version)
        if self._other_kind:
            names = ", ".join(sorted(self._other_kind))
            log.warning(
                "version %d gives %s: %s, with %s, are passed over", version.version,
                WORDS[version.multi_label], names, WORDS[not version.multi_label],
            )  # fmt: skip

    def waiting(self, collection: str | None) -> list[tuple[str, int | None, int]]:
        """Collections with videos to score, the newest first: name, serving version, number of videos."""
        spec_id = self.version.spec.feature_set_id
        found = self.ports.ledger.predictions.unscored_collections(self.version.identity, spec_id, collection)
        return [row for row in found if row[0] not in self._other_kind]

    def score(self, collections: Sequence[str] | None, deadline: float | None = None) -> int:
        """Score the unscored videos of a collection, or of all, until the deadline; returns their number."""
        ledger, version, spec_id = self.ports.ledger, self.version, self.version.spec.feature_set_id
        if collections is None and self._other_kind:
            every = [c.name for c in ledger.sources.collections()]
            collections = [name for name in every if name not in self._other_kind]
        pending = ledger.predictions.unscored(version.identity, spec_id, collections)
        if not pending:
            return 0
        done = 0
        model = novelty_model(self.ports, version)
        shards = [ScoreShard(version, some, model) for some in cut(pending)]
        skipped = SkippedFeatures()
        stage = f"classify with version {version.version}"
        with self.ports.progress.stage(stage, sum(s.cost for s in shards), "videos") as advance:
            for shard, scored in self.ports.executor.compute(self.ports, work, shards):
                ledger.novelty.put(version.identity, scored.novelty)  # first: a crash scores both anew
                ledger.predictions.put_predictions(
                    self.run.run_id,
                    version.identity,
                    spec_id,
                    scored.predictions,
                    scored.windows,
                )
                skipped.errors += scored.skipped.errors
                advance(shard.cost, len(shard.videos))
                done += len(shard.videos) - sum(len(e.video_ids) for e in scored.skipped.errors)
                if _is_over(deadline):
                    break
        self.problems += forget_damaged(self.ports, spec_id, skipped)
        return done


def _score_as_champion(
    scorer: _Scorer, collection: str | None, deadline: float | None, *, backfill: bool
) -> tuple[int, int]:
    """Score new videos, then the archive until the deadline: (videos scored, archive videos left)."""
    ledger, champion = scorer.ports.ledger, scorer.version.version
    waiting = scorer.waiting(collection)
    news = [name for name, serving, _ in waiting if serving in (None, champion)]
    archive = [name for name, serving, _ in waiting if serving not in (None, champion)]
    classified = 0 if backfill else scorer.score(news)
    ledger.predictions.switch_serving(champion)  # collections that the shadow has scored already switch, too
    for name in archive:
        if _is_over(deadline):
            log.info("time is up; the rest of the archive is left to another run")
            break
        classified += scorer.score([name], deadline)
        ledger.predictions.switch_serving(champion, name)
    left = scorer.waiting(collection) if archive and deadline is not None else []
    return classified, sum(videos for _, serving, videos in left if serving not in (None, champion))


def _score_for_serving(scorer: _Scorer, problems: list[str]) -> list[str]:
    """Score new arrivals of collections that still serve an older version, with that version.

    What is wrong with the registry is added to the problems; the value says which collections it kept from
    being scored.
    """
    ports, unserved = scorer.ports, list[str]()
    served_by: dict[int, list[str]] = defaultdict(list)
    for name, serving in ports.ledger.predictions.serving_versions().items():
        if serving != scorer.version.version:
            served_by[serving].append(name)
    for serving, names in served_by.items():
        try:
            version, odd = verified(ports, serving)
        except ODD as error:
            log.error("%s", error)
            unserved.append(
                f"new videos of {', '.join(names)} are not scored: {error.message} "
                "Next: vidpipe classify scores the archive, and the champion serves."
            )
            continue
        problems += odd
        serving_scorer = _Scorer(ports, scorer.run, version)
        serving_scorer.score(names)
        problems += serving_scorer.problems
    return unserved


def _is_over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def _unreadable(ports: Ports, version: ModelVersion, collection: str | None, *, scored: int) -> int:
    """Number of videos with features of other specs only; raises where that is true of all."""
    others = [s for s in ports.ledger.features.feature_specs(collection) if s != version.spec]
    if not others:
        return 0
    if scored == 0:
        raise IncompatibleFeatures(
            f"version {version.version} needs features of set {version.spec.feature_set_id}; the videos have "
            f"others. Differing: {version.spec.difference(others[0])}.",
            next_step="vidpipe extract makes the features that the champion needs.",
        )
    missing = ports.ledger.features.count_other_features(version.spec.feature_set_id, collection)
    if missing:
        log.warning(
            "%d videos have no features that version %d reads: vidpipe extract",
            missing,
            version.version,
        )
    return missing
