"""Classify: stored features become prediction rows. No video is opened.

The version is resolved once, so that a promotion in mid-run never mixes versions. A collection goes over to a
new champion as a whole, when all its videos have been scored; until then the version that it serves
scores its new arrivals too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from vidpipe.classifier import predict
from vidpipe.errors import IncompatibleFeatures, NotFound
from vidpipe.ports import ModelBundle, Ports
from vidpipe.records import ModelVersion, Prediction, StoredFeatures, VideoFeatures
from vidpipe.steps.promote import settle
from vidpipe.steps.runs import Report, RunLog, recorded

log = logging.getLogger(__name__)

CHUNK_VIDEOS = 2000
"""Predictions are committed in chunks of this many videos."""


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


def classify(ports: Ports, collection: str | None = None, *, model: str = "champion") -> ClassifyReport:
    """Score every present video that the version has not scored.

    Args:
        ports: The outside world.
        collection: One collection, or all.
        model: champion, challenger, or a version number.

    Raises:
        NotFound: No such collection, version or alias.
        IncompatibleFeatures: The videos' features were made by another spec than the version's.
        LeaseHeld: Another run is at work.
    """
    with recorded(ports, "classify") as run:
        if collection is not None and ports.ledger.collection(collection) is None:
            raise NotFound(f"no collection {collection!r}.", next_step="vidpipe collections lists them.")
        champion = settle(ports)
        version = ports.registry.version(model)
        skipped = ports.ledger.count_scored(version.version, collection)
        classified = _score_pending(ports, run, version, collection)
        if version.version == champion:
            ports.ledger.switch_serving(version.version)
            _score_for_serving(ports, run, champion)
        failed = _unreadable(ports, version, collection, scored=classified + skipped)
        run.videos, run.failed = classified, failed
        run.detail = {"version": version.version, "skipped": skipped, "collection": collection}
        return ClassifyReport(run.run_id, version.model, version.version, classified, skipped, failed)


def _score_pending(ports: Ports, run: RunLog, version: ModelVersion, collection: str | None) -> int:
    """Score what this version has not scored; the number of videos."""
    spec_id = version.spec.feature_set_id
    pending = ports.ledger.unscored(version.version, spec_id, collection)
    if not pending:
        return 0
    bundle = ports.registry.load(version)
    with ports.progress.stage(f"classify with version {version.version}", len(pending)) as advance:
        for chunk in _chunks(pending):
            videos = list(ports.store.read(spec_id, chunk))
            predictions = _predictions(bundle, videos, ports.limits.top_k)
            ports.ledger.put_predictions(run.run_id, version.model, version.version, spec_id, predictions)
            advance(len(chunk))
    return len(pending)


def _chunks(pending: Sequence[StoredFeatures]) -> Iterator[list[StoredFeatures]]:
    rest = iter(pending)
    while chunk := list(islice(rest, CHUNK_VIDEOS)):
        yield chunk


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
