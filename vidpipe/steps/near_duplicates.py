"""Near-duplicates, found among new videos after extraction.

A new video is compared with all that have been compared before: its nearest by their vectors are aligned with
it, frame beside frame. A block of new videos is one transaction, so that a crash costs one block.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from vidpipe.learning.near_duplicates import LISTED, MOST_FRAMES, Frames, align, candidates
from vidpipe.ports import Ports
from vidpipe.records.features import FeatureSpec, SkippedFeatures, StoredFeatures
from vidpipe.records.near_duplicates import NearDuplicate
from vidpipe.records.videos import Floats
from vidpipe.steps.mean_features import LONG_FRAMES
from vidpipe.vision.feature_specs import block_sizes

log = logging.getLogger(__name__)

BLOCK_VIDEOS, BLOCK_FRAMES = 512, 20_000
"""New videos whose features are in memory at once."""
KINDS = "average+grid+motion"
"""Pooling, with optical flow beside it, in which near-duplicates are told: that of the built-in backbones."""

Timed = tuple[npt.NDArray[np.float64], Frames]
"""Times in seconds, (T,), and features of a video's frames."""


def is_comparable(spec: FeatureSpec) -> bool:
    """Whether near-duplicates can be told by features of a spec: not by key frames alone, nor by clips."""
    return spec.flow is not None and spec.pooling == KINDS and spec.network is None


def find_near_duplicates(ports: Ports, specs: Sequence[FeatureSpec]) -> int:
    """Compare videos of these feature sets that have not been; returns how many pairs were found.

    Videos whose features cannot be read wait until they are there again.
    """
    found = 0
    for spec in filter(is_comparable, specs):
        new = ports.ledger.near_duplicates.uncompared(spec.feature_set_id)
        if not new:
            continue
        vectors = Vectors(*ports.ledger.near_duplicates.vectors(spec.feature_set_id))
        with ports.progress.stage("near-duplicates", len(new), "videos") as advance:
            for block in blocks_of(new):
                pairs, compared = near(ports, spec, block, vectors.candidates([s.video_id for s in block]))
                ports.ledger.near_duplicates.put(spec.feature_set_id, compared, pairs)
                found += len(pairs)
                advance(len(block), len(block))
    return found


class Vectors:
    """Vectors of videos in memory, and which of them have been compared with one another."""

    def __init__(self, video_ids: Sequence[str], vectors: Floats, compared: Sequence[bool]) -> None:
        self._ids = np.array(video_ids)
        self._vectors = vectors
        self._compared = np.array(compared, bool)
        self._place = {video_id: i for i, video_id in enumerate(video_ids)}

    def candidates(self, block: Sequence[str]) -> dict[str, list[str]]:
        """For each compared video, or video of this block, those of the block to align it with.

        The block counts as compared from now on: each pair is looked at once.
        """
        here = np.array([self._place[video_id] for video_id in block])
        self._compared[here] = True
        others = np.flatnonzero(self._compared)
        rank = np.full(len(self._ids), -1)
        rank[here] = np.arange(len(here))
        mine = self._vectors[here].astype(np.float32)
        pairs = set[tuple[int, int]]()
        for i, chosen in enumerate(candidates(mine, self._vectors, others)):
            before = chosen[rank[chosen] < 0]
            pairs |= {(int(other), i) for other in before}
            # Of two in the block, it is enough that one is among the other's nearest.
            pairs |= {(int(here[min(i, j)]), max(i, j)) for j in rank[chosen] if j >= 0 and j != i}
        found: dict[str, list[str]] = defaultdict(list)
        for other, i in sorted(pairs):
            found[str(self._ids[other])].append(block[i])
        return found


def near(
    ports: Ports, spec: FeatureSpec, block: Sequence[StoredFeatures], wanted: Mapping[str, Sequence[str]]
) -> tuple[list[NearDuplicate], list[str]]:
    """Near-duplicates among pairs of a video and some of a block, and the videos of the block that were read.

    The other videos pass by one by one.
    """
    skipped = SkippedFeatures()
    mine = dict(_frames(ports, spec, block, skipped))
    stored = ports.ledger.features.stored_features(spec.feature_set_id, wanted)
    found = []
    for video_id, (times_s, frames) in _frames(ports, spec, stored, skipped):
        for other in mine.keys() & wanted[video_id]:
            pair = _aligned(video_id, times_s, frames, other, *mine[other])
            found += [pair] if pair else []
    for error in skipped.errors:
        log.warning("videos are not compared with others: %s", error)
    return found, list(mine)


def _aligned(
    video_id: str, times_s: npt.NDArray[np.float64], frames: Frames,
    other: str, other_times_s: npt.NDArray[np.float64], other_frames: Frames,
) -> NearDuplicate | None:  # fmt: skip
    found = align(frames, other_frames)
    if found is None or found.similarity < LISTED:
        return None
    here, there = found.first, found.other_first
    return NearDuplicate(
        video_id, other, round(found.similarity, 4), float(times_s[here]),
        float(times_s[here + found.frames - 1]), float(other_times_s[there]),
        float(other_times_s[there + found.frames - 1]), found.frames,
    )  # fmt: skip


def blocks_of(videos: Sequence[StoredFeatures]) -> Iterator[list[StoredFeatures]]:
    """Cut videos into blocks that memory holds."""
    block: list[StoredFeatures] = []
    frames = 0
    for video in videos:
        kept = min(video.n_frames, MOST_FRAMES)
        if block and (len(block) == BLOCK_VIDEOS or frames + kept > BLOCK_FRAMES):
            yield block
            block, frames = [], 0
        block.append(video)
        frames += kept
    if block:
        yield block


def _frames(
    ports: Ports, spec: FeatureSpec, videos: Sequence[StoredFeatures], skipped: SkippedFeatures
) -> Iterator[tuple[str, Timed]]:
    """Times and features of videos, of a long one those of its first frames."""
    blocks = block_sizes(spec)
    with skipped:
        for video in ports.store.read(spec.feature_set_id, [v for v in videos if v.n_frames <= LONG_FRAMES]):
            yield video.video_id, (video.times_s, Frames.of(video.values, blocks))
    for stored in (v for v in videos if v.n_frames > LONG_FRAMES):
        with skipped:
            pieces = list(_first_pieces(ports, spec, stored))
            times_s = np.concatenate([times_s for times_s, _ in pieces])
            yield stored.video_id, (times_s, Frames.of(np.concatenate([x for _, x in pieces]), blocks))


def _first_pieces(
    ports: Ports, spec: FeatureSpec, stored: StoredFeatures
) -> Iterator[tuple[npt.NDArray[np.float64], Floats]]:
    kept = 0
    for piece in ports.store.pieces(spec.feature_set_id, stored):
        yield piece.times_s, piece.values
        kept += len(piece.values)
        if kept > MOST_FRAMES:
            return
