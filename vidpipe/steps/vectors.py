"""A vector for each video and feature set, made after extraction for whichever video lacks one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from vidpipe.learning.video_vectors import FIT_VIDEOS, Projection, fit_projection
from vidpipe.ports import Ports
from vidpipe.records.features import FeatureSpec, SkippedFeatures, StoredFeatures
from vidpipe.records.videos import Floats
from vidpipe.steps.lost_parts import forget_damaged
from vidpipe.steps.mean_features import mean_features
from vidpipe.vision.feature_specs import block_sizes

BATCH = 1024
"""Videos in one transaction."""


def make_vectors(ports: Ports, specs: Sequence[FeatureSpec]) -> int:
    """Make the vectors that present videos lack in these feature sets; returns how many.

    Videos whose features are damaged stay without: what else a run does is not to stop for them.
    """
    made = 0
    for spec in specs:
        lacking = ports.ledger.vectors.lacking(spec.feature_set_id)
        projection = _projection(ports, spec, lacking) if lacking else None
        if projection is None:
            continue
        skipped = SkippedFeatures()
        with ports.progress.stage("vectors", len(lacking), "videos") as advance:
            for start in range(0, len(lacking), BATCH):
                some = lacking[start : start + BATCH]
                ids, means = _means(ports, spec, some, skipped)
                if ids:
                    ports.ledger.vectors.put(spec.feature_set_id, ids, projection.vectors(means))
                made += len(ids)
                advance(len(some), len(some))
        forget_damaged(ports, spec.feature_set_id, skipped)
    return made


def known_projection(ports: Ports, feature_set_id: str) -> Projection | None:
    """The projection of a feature set, as it was fitted once.

    Raises:
        UnsafeModel: Its bytes are not those on record.
    """
    known = ports.ledger.vectors.projection(feature_set_id)
    return Projection.from_bytes(known[1], known[0]) if known else None


def _projection(ports: Ports, spec: FeatureSpec, lacking: Sequence[StoredFeatures]) -> Projection | None:
    """The projection of a feature set, fitted on its first videos; None while there is only one."""
    if known := known_projection(ports, spec.feature_set_id):
        return known
    spread = np.unique(np.linspace(0, len(lacking) - 1, min(FIT_VIDEOS, len(lacking))).astype(int))
    ids, means = _means(ports, spec, [lacking[i] for i in spread], SkippedFeatures())
    if len(ids) < 2:
        return None
    weights = fit_projection(means, block_sizes(spec)).to_bytes()
    sha256 = hashlib.sha256(weights).hexdigest()
    ports.ledger.vectors.put_projection(spec.feature_set_id, sha256, weights, len(means))
    return Projection.from_bytes(weights, sha256)


def _means(
    ports: Ports, spec: FeatureSpec, some: Sequence[StoredFeatures], skipped: SkippedFeatures
) -> tuple[list[str], Floats]:
    """Ids, and mean features (N, D) in their order."""
    found: dict[str, Floats] = {}
    with skipped:
        for video_id, mean in mean_features(ports.store, spec.feature_set_id, some):
            found[video_id] = mean
    return list(found), np.stack(list(found.values())) if found else np.zeros((0, 0), np.float32)
