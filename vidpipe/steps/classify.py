"""Classify: stored features become prediction rows. No video is opened.

The version is resolved once, so that a promotion in mid-run never mixes versions. A collection goes over to a
new champion as a whole, when all its videos have been scored; until then the version that it serves
scores its new arrivals too. So there are two kinds of work: news, in collections that the champion serves or
nobody does, and the archive, in collections that an older version serves.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np

from vidpipe.errors import IncompatibleFeatures, NotFound
from vidpipe.inference import predict
from vidpipe.ports import ModelBundle, Ports
from vidpipe.records import ModelVersion, Prediction, StoredFeatures, VideoFeatures
from vidpipe.steps.champion import settle
from vidpipe.steps.runs import Report, RunLog, recorded

log = logging.getLogger(__name__)

CHUNK_VIDEOS = 2000
"""Predictions are committed in chunks of this many videos."""
SCORE_VIDEOS = 256
"""Videos whose features are in memory at once."""


@dataclass(frozen=True, slots=True)
class ClassifyReport(Report):
    """What was classified, by which version."""

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


def classify(
    ports: Ports,
    collection: str | None = None,
    *,
    model: str = "champion",
    backfill: bool = False,
    budget_s: float | None = None,
) -> ClassifyReport:
    """Score every present video that the version has not scored.

    Args:
        ports: The outside world.
        collection: One collection, or all.
        model: champion, challenger, or a version number.
        backfill: Only the archive, the newest collections first.
        budget_s: Seconds for the archive; None for all that it takes. The news are always done.

    Raises:
        NotFound: No such collection, version or alias.
        IncompatibleFeatures: The videos' features were made by another spec than the version's.
        LeaseHeld: Another run is at work.
    """
    deadline = None if budget_s is None else time.monotonic() + budget_s
    with recorded(ports, "classify") as run:
        if collection is not None and ports.ledger.collection(collection) is None:
            raise NotFound(f"no collection {collection!r}.", next_step="vidpipe collections lists them.")
        champion = settle(ports)
        version = ports.registry.version(model)
        skipped = ports.ledger.count_scored(version.version, collection)
        if version.version == champion:
            classified = 0 if backfill else _score_news(ports, run, version, collection)
            ports.ledger.switch_serving(version.version)  # what the shadow has scored already goes over
            classified += _score_archive(ports, run, version, collection, deadline)
            _score_for_serving(ports, run, champion)
        else:
            classified = _score_pending(ports, run, version, collection)
        failed = 0 if backfill else _unreadable(ports, version, collection, scored=classified + skipped)
        remaining = _archive(ports, version, collection) if version.version == champion else {}
        run.videos, run.failed = classified, failed
        run.detail = {
            "version": version.version, "skipped": skipped, "collection": collection,
            "remaining": sum(remaining.values()),
        }  # fmt: skip
        return ClassifyReport(
            run.run_id, version.model, version.version, classified, skipped, failed, sum(remaining.values())
        )


def shadow(ports: Ports, run: RunLog, budget_s: float) -> dict[str, int] | None:
    """Let the challenger score what the champion scores, for comparison only; None without one.

    Its rows serve no collection. The value counts the videos that it scored, and of those that both have
    scored, how many were given the same label.
    """
    aliases = ports.registry.aliases()
    champion, challenger = aliases.get("champion"), aliases.get("challenger")
    if champion is None or challenger is None or challenger == champion:
        return None
    version = ports.registry.version(str(challenger))
    scored = _score_pending(ports, run, version, None, time.monotonic() + budget_s)
    compared, agreeing = ports.ledger.shadow_agreement(run.run_id, challenger, champion)
    return {
        "version": challenger, "champion": champion, "videos": scored, "compared": compared,
        "agreeing": agreeing,
    }  # fmt: skip


def _score_news(ports: Ports, run: RunLog, version: ModelVersion, collection: str | None) -> int:
    """Collections that this version serves already, or that nobody serves yet."""
    found = ports.ledger.unscored_collections(version.version, version.spec.feature_set_id, collection)
    news = [name for name, serving, _ in found if serving in (None, version.version)]
    classified = 0
    if len(news) == len(found) and news:  # the usual night: one pass, in the order of the parts
        classified = _score_pending(ports, run, version, collection)
    else:
        for name in news:
            classified += _score_pending(ports, run, version, name)
    return classified


def _score_archive(
    ports: Ports, run: RunLog, version: ModelVersion, collection: str | None, deadline: float | None
) -> int:
    """Collections that an older version serves, the newest first; each goes over when it is complete."""
    classified = 0
    for name in _archive(ports, version, collection):
        if deadline is not None and time.monotonic() >= deadline:
            log.info("time is up; the rest of the archive is left to another run")
            break
        classified += _score_pending(ports, run, version, name, deadline)
        ports.ledger.switch_serving(version.version, name)
    return classified


def _archive(ports: Ports, version: ModelVersion, collection: str | None) -> Mapping[str, int]:
    """Collections that wait for the champion, the newest first, with their unscored videos."""
    found = ports.ledger.unscored_collections(version.version, version.spec.feature_set_id, collection)
    return {name: videos for name, serving, videos in found if serving not in (None, version.version)}


def _score_pending(
    ports: Ports, run: RunLog, version: ModelVersion, collection: str | None, deadline: float | None = None
) -> int:
    """Score what this version has not scored, until the deadline; the number of videos."""
    spec_id = version.spec.feature_set_id
    pending = ports.ledger.unscored(version.version, spec_id, collection)
    if not pending:
        return 0
    bundle = ports.registry.load(version)
    done = 0
    with ports.progress.stage(f"classify with version {version.version}", len(pending)) as advance:
        for chunk in _chunks(pending):
            predictions: list[Prediction] = []
            for videos in _read_ahead(ports.store.read(spec_id, chunk)):
                predictions += _predictions(bundle, videos, ports.limits.top_k)
            ports.ledger.put_predictions(run.run_id, version.model, version.version, spec_id, predictions)
            advance(len(chunk))
            done += len(chunk)
            if deadline is not None and time.monotonic() >= deadline:
                break
    return done


def _chunks(pending: Sequence[StoredFeatures]) -> Iterator[list[StoredFeatures]]:
    rest = iter(pending)
    while chunk := list(islice(rest, CHUNK_VIDEOS)):
        yield chunk


def _read_ahead(videos: Iterator[VideoFeatures]) -> Iterator[list[VideoFeatures]]:
    """Some videos at a time, the next ones read while these are scored."""
    with ThreadPoolExecutor(1, "read") as reader:
        ahead = reader.submit(lambda: list(islice(videos, SCORE_VIDEOS)))
        while some := ahead.result():
            ahead = reader.submit(lambda: list(islice(videos, SCORE_VIDEOS)))
            yield some


def _predictions(bundle: ModelBundle, videos: Sequence[VideoFeatures], top_k: int) -> list[Prediction]:
    """The top labels of each video, best first."""
    scores = predict(bundle.lstm, [v.values for v in videos])  # (N, K)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
    return [
        Prediction(video.video_id, rank, bundle.labels[k], float(scores[n, k]))
        for n, video in enumerate(videos)
        for rank, k in enumerate(order[n], start=1)
    ]


def _score_for_serving(ports: Ports, run: RunLog, champion: int) -> None:
    """New arrivals of collections that have not gone over yet get rows of the version they serve."""
    for name, serving in ports.ledger.serving_versions().items():
        if serving != champion:
            _score_pending(ports, run, ports.registry.version(str(serving)), name)


def _unreadable(ports: Ports, version: ModelVersion, collection: str | None, *, scored: int) -> int:
    """How many videos have features of other specs only; all of them together are a mismatch."""
    others = [s for s in ports.ledger.feature_specs(collection) if s != version.spec]
    if not others:
        return 0
    if scored == 0:
        raise IncompatibleFeatures(
            f"version {version.version} needs features of set {version.spec.feature_set_id}; the videos have "
            f"others. Differing: {version.spec.difference(others[0])}.",
            next_step="vidpipe extract makes the features that the champion needs.",
        )
    missing = ports.ledger.count_other_features(version.spec.feature_set_id, collection)
    if missing:
        log.warning(
            "%d videos have no features that version %d reads: vidpipe extract",
            missing,
            version.version,
        )
    return missing
