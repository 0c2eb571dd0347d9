"""Feature drift of a night: a two-sample test of its videos and those that the champion was trained on.

Tonight's are compared with the training and with the nights since the promotion; after an alarm, with the
nights since then alone, so that another change is told, too. The evidence begins anew with another champion,
after an alarm and after a year of nights.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from vidpipe.learning.feature_drift import DriftState, mean_distance, night_e_value, two_sample_p
from vidpipe.ports import Ports
from vidpipe.records.drift import Arrivals, DriftBefore, DriftFound, DriftVideos
from vidpipe.records.features import SkippedFeatures, StoredFeatures
from vidpipe.records.models import LabelledVideo, ModelVersion
from vidpipe.records.videos import Floats
from vidpipe.steps.mean_features import mean_features
from vidpipe.steps.novelty import training_videos

log = logging.getLogger(__name__)

NIGHT_VIDEOS = 64
"""Of a collection's videos so many are looked at, at random."""
COMPARED = 256
"""With so many earlier ones; so many are kept of a version's training and of each collection's nights."""
LEAST_TONIGHT = 10
"""Fewer wait for the next night."""
LEAST_EARLIER = 20


def feature_drift(ports: Ports, version: ModelVersion, run_id: int) -> list[DriftFound]:
    """Compare the new videos of each collection with earlier ones, and record what was found."""
    spec_id = version.spec.feature_set_id
    arrived = ports.ledger.drift.arrivals(version.identity, spec_id, NIGHT_VIDEOS)
    training = _training(ports, version) if any(a.videos >= LEAST_TONIGHT for a in arrived) else None
    return [_of_collection(ports, version, run_id, arrivals, training) for arrivals in arrived]


def _of_collection(
    ports: Ports, version: ModelVersion, run_id: int, arrivals: Arrivals, training: DriftVideos | None
) -> DriftFound:
    drift, name = ports.ledger.drift, arrivals.collection
    before = drift.before(version.identity, name)
    tonight = None
    if arrivals.videos >= LEAST_TONIGHT:
        tonight = _read(ports, version, dict(zip(arrivals.stored, arrivals.recording, strict=True)))
    nights = drift.earlier(version.identity, name, before.alarm_run_id)
    known = [v for v in (nights, None if before.alarm_run_id else training) if v]
    found = compare(
        arrivals, version.version, before, tonight, known, training, np.random.default_rng(run_id)
    )
    if found.alarmed:
        log.warning(
            "%s: tonight's videos are unlike those before (e-value %.0f): has a camera changed? "
            "vidpipe sql 'from feature_drift'", name, found.e_value,
        )  # fmt: skip
    drift.put(run_id, version.identity, found, arrivals, tonight, COMPARED)
    return found


def compare(
    arrivals: Arrivals, version: int, before: DriftBefore, tonight: DriftVideos | None,
    known: Sequence[DriftVideos], training: DriftVideos | None, rng: np.random.Generator,
) -> DriftFound:  # fmt: skip
    """Compare a night's videos with known ones, a random sample of these where they are many.

    Args:
        arrivals: What came, of which collection.
        version: Number of the champion.
        before: How it stood.
        tonight: None where they are too few.
        known: Of the training, of nights.
        training: What the distance is measured from.
        rng: Of the sample and of the regroupings.
    """
    was_alarm = before.run_id and before.run_id == before.alarm_run_id
    state = DriftState() if was_alarm else DriftState(before.statistic, before.nights)
    p_features = p_recording = None
    if tonight and sum(map(len, known)) >= LEAST_EARLIER:
        features = np.concatenate([v.features for v in known])
        recording = np.concatenate([v.recording for v in known])
        some = rng.permutation(len(features))[:COMPARED]
        p_features = two_sample_p(tonight.features, features[some], rng)
        p_recording = two_sample_p(tonight.recording, recording[some], rng)
        state = state.after(night_e_value(p_features, p_recording))
    distance = mean_distance(tonight.features, training.features) if tonight and training else None
    return DriftFound(
        arrivals.collection, version, arrivals.videos, distance, p_features, p_recording, state.e_value,
        state.is_alarm, state.statistic, state.nights,
    )  # fmt: skip


def _training(ports: Ports, version: ModelVersion) -> DriftVideos | None:
    """Videos of the version's training, one of each group: those of one group are too alike for a test."""
    if known := ports.ledger.drift.training(version.identity):
        return known
    chosen = _one_a_group(training_videos(ports, version))
    if len(chosen) < LEAST_EARLIER:
        return None
    made = _read(ports, version, {v.stored: (0.0, 0.0, 0.0) for v in chosen})
    if made is None:
        return None
    ports.ledger.drift.put_training(version.identity, made)
    return ports.ledger.drift.training(version.identity)  # with how they were recorded


def _one_a_group(videos: Sequence[LabelledVideo]) -> list[LabelledVideo]:
    """At random, which hashes are; and of many groups some."""
    ordered = sorted(videos, key=lambda v: v.video_id)
    return list({v.group: v for v in ordered}.values())[:COMPARED]


def _read(
    ports: Ports, version: ModelVersion, wanted: Mapping[StoredFeatures, tuple[float, float, float]]
) -> DriftVideos | None:
    """Mean features of videos, and how they were recorded; without those that cannot be read."""
    skipped, means = SkippedFeatures(), dict[str, Floats]()
    with skipped:
        for video_id, mean in mean_features(ports.store, version.spec.feature_set_id, list(wanted)):
            means[video_id] = mean
    for error in skipped.errors:
        log.warning("feature drift does without some videos: %s", error)
    if len(means) < LEAST_TONIGHT:
        return None
    read = [stored for stored in wanted if stored.video_id in means]
    features: Floats = np.stack([means[s.video_id] for s in read])
    return DriftVideos([s.video_id for s in read], features, np.array([wanted[s] for s in read], np.float32))
