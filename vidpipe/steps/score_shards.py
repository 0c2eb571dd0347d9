"""Shards of videos scored by one version: what any worker computes, without the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from vidpipe.errors import DamagedFeatures
from vidpipe.learning.inference import predict
from vidpipe.learning.novelty import NoveltyModel
from vidpipe.ports import Ports
from vidpipe.ports.models import ModelBundle
from vidpipe.records.features import FeatureSpec, SkippedFeatures, Unscored, VideoFeatures
from vidpipe.records.models import ModelVersion
from vidpipe.records.predictions import Prediction, WindowPrediction
from vidpipe.steps.champion_alias import bundle_of
from vidpipe.steps.scoring import best_labels, read_ahead
from vidpipe.steps.window_scores import score_windows

SHARD_VIDEOS = 2000
"""Predictions are computed and committed for so many videos at a time."""
SHARD_FRAMES = 200_000
"""Or for so many frames, or one video: 14 hours of film at four a second, some ten seconds' work."""
SCORE_VIDEOS = 256
"""Videos whose features are in memory at once."""


@dataclass(frozen=True, slots=True)
class ScoreShard:
    """Shard of videos whose stored features one version scores."""

    version: ModelVersion
    videos: Sequence[Unscored]
    novelty: bytes = b""
    """The version's novelty model; empty where it has none."""

    @property
    def cost(self) -> float:
        """Number of frames that the LSTM computes, overlapping windows counted repeatedly."""
        return sum(_seen(v) for v in self.videos)


def _seen(video: Unscored) -> float:
    overlap = video.windows.overlap if video.windows else 1.0
    return video.n_frames * overlap


@dataclass(frozen=True, slots=True)
class Scored:
    """Predictions of a shard."""

    predictions: Sequence[Prediction]
    windows: Sequence[WindowPrediction]
    novelty: Mapping[str, float] = field(default_factory=dict)
    """By video; of those that are not scored in windows."""
    skipped: SkippedFeatures = field(default_factory=SkippedFeatures)
    """Of videos whose features cannot be read."""


def work(ports: Ports, shard: ScoreShard) -> Scored:
    """Score a shard on any worker: reads the registry and the feature store, never the database."""
    bundle, spec, top_k = bundle_of(ports, shard.version), shard.version.spec, ports.limits.top_k
    whole = [v for v in shard.videos if v.windows is None]
    long = [v for v in shard.videos if v.windows is not None]
    found: list[Prediction] = []
    novelty: dict[str, float] = {}
    model = NoveltyModel.from_bytes(shard.novelty) if shard.novelty else None
    skipped = SkippedFeatures()
    for videos in read_ahead(_some(_read(ports, spec, whole, skipped))):
        found += _predictions(bundle, videos, top_k)
        if model:
            means = np.stack([video.values.mean(0) for video in videos])
            novelty |= zip((v.video_id for v in videos), model.novelty(means).tolist(), strict=True)
    of_long, windows = _in_windows(ports, bundle, spec, long, skipped)
    return Scored(found + of_long, windows, novelty, skipped)


def _read(
    ports: Ports, spec: FeatureSpec, videos: Sequence[Unscored], skipped: SkippedFeatures
) -> Iterator[VideoFeatures]:
    with skipped:
        yield from ports.store.read(spec.feature_set_id, videos)


def _in_windows(
    ports: Ports, bundle: ModelBundle, spec: FeatureSpec, videos: Sequence[Unscored], skipped: SkippedFeatures
) -> tuple[list[Prediction], list[WindowPrediction]]:
    """Scores of long videos; all anew without one whose features turn out to be damaged, which is rare."""
    try:
        return score_windows(ports.store, bundle, spec, videos, ports.limits.top_k)
    except DamagedFeatures as error:
        skipped.errors.append(error)
        sound = [video for video in videos if video.video_id not in error.video_ids]
        return _in_windows(ports, bundle, spec, sound, skipped)


def cut(pending: Sequence[Unscored]) -> Iterator[list[Unscored]]:
    """Cut videos to score into shards."""
    some: list[Unscored] = []
    frames = 0.0
    for video in pending:
        some.append(video)
        frames += _seen(video)
        if len(some) == SHARD_VIDEOS or frames >= SHARD_FRAMES:
            yield some
            some, frames = [], 0.0
    if some:
        yield some


def _some(videos: Iterator[VideoFeatures]) -> Iterator[list[VideoFeatures]]:
    while some := list(islice(videos, SCORE_VIDEOS)):
        yield some


def _predictions(bundle: ModelBundle, videos: Sequence[VideoFeatures], top_k: int) -> list[Prediction]:
    """The top labels of each video, best first."""
    scores = predict(bundle.classifier, [v.values for v in videos])  # (N, K)
    ranked = best_labels(bundle.labels, scores, top_k, bundle.thresholds())
    return [
        Prediction(video.video_id, rank, label, score, over_threshold=over)
        for video, best in zip(videos, ranked, strict=True)
        for rank, label, score, over in best
    ]
