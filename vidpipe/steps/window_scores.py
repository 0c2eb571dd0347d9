"""Sliding-window scoring of long videos from stored features, in constant memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from vidpipe.learning.inference import predict
from vidpipe.learning.windows import Window, WindowScores, frames_of, scores_over_windows, windows_of
from vidpipe.ports.features import FeatureStore
from vidpipe.ports.models import ModelBundle
from vidpipe.records.features import FeatureSpec, Unscored
from vidpipe.records.predictions import Prediction, WindowPrediction
from vidpipe.records.videos import Floats
from vidpipe.steps.scoring import best_labels, read_ahead

WINDOW_RANKS = 3
"""Labels stored of a window. Four labels cannot all have more than a quarter: whatever scores above 0.25
is there, and more ranks would add rows and hardly a word. Labels over their thresholds are there anyway."""
SCORE_FRAMES = 4096
"""Frames whose windows are scored at once: 54 MB, where windows do not overlap."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A window of a video with its features."""

    video_id: str
    window: Window
    features: Floats
    weight: int = 1
    """In the video's scores: of a shot, which has a length of its own, its frames."""


def score_windows(
    store: FeatureStore, bundle: ModelBundle, spec: FeatureSpec, videos: Sequence[Unscored], top_k: int
) -> tuple[list[Prediction], list[WindowPrediction]]:
    """Top labels of videos, by the joined scores of their windows, and of each window."""
    joined: dict[str, WindowScores] = defaultdict(partial(scores_over_windows, bundle.decisions is not None))
    found: list[WindowPrediction] = []
    for some in windows_shown(store, spec, videos):
        given = predict(bundle.classifier, [shown.features for shown in some])  # (n, K)
        ranked = best_labels(bundle.labels, given, min(top_k, WINDOW_RANKS), bundle.thresholds())
        for shown, scores, best in zip(some, given, ranked, strict=True):
            joined[shown.video_id].add(scores, shown.weight)
            span = (shown.video_id, shown.window.start_s, shown.window.end_s)
            found += [WindowPrediction(*span, rank, label, score, over) for rank, label, score, over in best]
    return list(_of_videos(bundle, videos, joined, top_k)), found


def _of_videos(
    bundle: ModelBundle, videos: Sequence[Unscored], joined: dict[str, WindowScores], top_k: int
) -> Iterator[Prediction]:
    for video in videos:
        scores = joined[video.video_id].value()[None]
        (best,) = best_labels(bundle.labels, scores, top_k, bundle.thresholds())
        for rank, label, score, over in best:
            yield Prediction(video.video_id, rank, label, score, video.windows, over)


def windows_shown(
    store: FeatureStore, spec: FeatureSpec, videos: Sequence[Unscored]
) -> Iterator[list[Shown]]:
    """Yield the windows of one video after the other, read in pieces ahead of their scoring."""
    return read_ahead(_batches(store, spec, videos))


def _batches(store: FeatureStore, spec: FeatureSpec, videos: Sequence[Unscored]) -> Iterator[list[Shown]]:
    batch: list[Shown] = []
    frames = 0
    for video in videos:
        for shown in _shown(store, spec, video):
            batch.append(shown)
            frames += len(shown.features)
            if frames >= SCORE_FRAMES:
                yield batch
                batch, frames = [], 0
    if batch:
        yield batch


def _shown(store: FeatureStore, spec: FeatureSpec, video: Unscored) -> Iterator[Shown]:
    assert video.windows is not None
    times_s = store.times(spec.feature_set_id, video)
    pieces = (piece.values for piece in store.pieces(spec.feature_set_id, video))
    for window, features in frames_of(windows_of(times_s, video.windows, spec.sample_fps), pieces):
        yield Shown(video.video_id, window, features, len(features) if video.windows.are_shots else 1)
