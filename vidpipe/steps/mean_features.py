"""Mean features of videos, with little of a long one in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from vidpipe.ports.features import FeatureStore
from vidpipe.records.features import SkippedFeatures, StoredFeatures
from vidpipe.records.videos import Floats

LONG_FRAMES = 4096
"""A video of more frames is read by itself, piece by piece; the others part by part, each opened once."""


def mean_features(
    store: FeatureStore, feature_set_id: str, wanted: Sequence[StoredFeatures]
) -> Iterator[tuple[str, Floats]]:
    """Yield video id and mean features (D,) of each of these videos, the long ones last.

    Raises:
        DamagedFeatures: After all others, of the videos whose features cannot be read.
    """
    short = [stored for stored in wanted if stored.n_frames <= LONG_FRAMES]
    skipped = SkippedFeatures()
    with skipped:
        for video in store.read(feature_set_id, short):
            yield video.video_id, video.values.mean(0)
    for stored in wanted:
        if stored.n_frames > LONG_FRAMES:
            with skipped:
                yield stored.video_id, _mean(store, feature_set_id, stored)
    skipped.raise_any()


def _mean(store: FeatureStore, feature_set_id: str, stored: StoredFeatures) -> Floats:
    """Mean features (D,) of a long video, with one piece in memory at a time."""
    total = sum(piece.values.sum(0, dtype=np.float64) for piece in store.pieces(feature_set_id, stored))
    return np.asarray(total / stored.n_frames, np.float32)
