"""Near-duplicates: found among new videos after extraction, and kept from straddling a training's splits.

A new video is compared with all that have been compared before: its nearest by their vectors are aligned with
it, frame beside frame. A block of new videos is one transaction, so that a crash costs one block.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

from vidpipe.errors import ConfigurationError, IncompatibleFeatures
from vidpipe.learning.near_duplicates import LISTED, MOST_FRAMES, SURE, Frames, align, candidates
from vidpipe.learning.video_vectors import fit_projection
from vidpipe.ports import Ports
from vidpipe.records.features import FeatureSpec, StoredFeatures
from vidpipe.records.models import LabelledVideo
from vidpipe.records.near_duplicates import NearDuplicate
from vidpipe.records.videos import Floats
from vidpipe.splits import SPLITS, Copies, ResolvedSplit, resolve, split_columns
from vidpipe.steps import scoring
from vidpipe.steps.mean_features import LONG_FRAMES, mean_features
from vidpipe.vision.feature_specs import block_sizes

log = logging.getLogger(__name__)

BLOCK_VIDEOS, BLOCK_FRAMES = 512, 20_000
"""New videos whose features are in memory at once."""
KINDS = "average+grid+motion"
"""Pooling, with optical flow beside it, in which near-duplicates are told: that of the built-in backbones."""
MENTIONED = 5
MOST_SHARE = 0.1
"""Of a test split that may show what was trained on: beyond it a score says nothing, and is refused. A few
are said beside the score: official splits have such pairs, UCF101's first one 10 of 202 test clips here."""

Timed = tuple[npt.NDArray[np.float64], Frames]
"""Times in seconds, (T,), and features of a video's frames."""


def is_comparable(spec: FeatureSpec) -> bool:
    """Whether near-duplicates can be told by features of a spec: not by key frames alone, nor by clips."""
    return spec.flow is not None and spec.pooling == KINDS and spec.network is None


def find_near_duplicates(ports: Ports, specs: Sequence[FeatureSpec]) -> int:
    """Compare videos of these feature sets that have not been; returns how many pairs were found.

    Videos of a damaged part wait until it is there again.
    """
    found = 0
    for spec in filter(is_comparable, specs):
        new = ports.ledger.near_duplicates.uncompared(spec.feature_set_id)
        if not new:
            continue
        vectors = _Vectors(*ports.ledger.near_duplicates.vectors(spec.feature_set_id))
        with ports.progress.stage("near-duplicates", len(new), "videos") as advance:
            for block in _blocks(new):
                pairs, compared = _near(ports, spec, block, vectors.candidates([s.video_id for s in block]))
                ports.ledger.near_duplicates.put(spec.feature_set_id, compared, pairs)
                found += len(pairs)
                advance(len(block), len(block))
    return found


class _Vectors:
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
        found: dict[str, list[str]] = defaultdict(list)
        rank = np.full(len(self._ids), -1)
        rank[here] = np.arange(len(here))
        mine = self._vectors[here].astype(np.float32)
        for i, chosen in enumerate(candidates(mine, self._vectors, others)):
            for other in chosen:
                if rank[other] < i:  # compared before, or earlier in the block
                    found[str(self._ids[other])].append(block[i])
        return found


def _near(
    ports: Ports, spec: FeatureSpec, block: Sequence[StoredFeatures], wanted: Mapping[str, Sequence[str]]
) -> tuple[list[NearDuplicate], list[str]]:
    """Near-duplicates among pairs of a video and some of a block, and the videos of the block that were read.

    The other videos pass by one by one.
    """
    mine = dict(_frames(ports, spec, block))
    stored = ports.ledger.features.stored_features(spec.feature_set_id, wanted)
    found = []
    for video_id, (times_s, frames) in _frames(ports, spec, stored):
        for other in mine.keys() & wanted[video_id]:
            pair = _aligned(video_id, times_s, frames, other, *mine[other])
            found += [pair] if pair else []
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


def _blocks(videos: Sequence[StoredFeatures]) -> Iterator[list[StoredFeatures]]:
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


def _frames(ports: Ports, spec: FeatureSpec, videos: Sequence[StoredFeatures]) -> Iterator[tuple[str, Timed]]:
    """Times and features of videos, of a long one those of its first frames; none of damaged parts."""
    blocks = block_sizes(spec)
    for part, some in groupby(sorted(videos, key=lambda v: v.part), key=lambda v: v.part):
        of_part = list(some)
        try:
            for video in ports.store.read(
                spec.feature_set_id, [v for v in of_part if v.n_frames <= LONG_FRAMES]
            ):
                yield video.video_id, (video.times_s, Frames.of(video.values, blocks))
            for stored in (v for v in of_part if v.n_frames > LONG_FRAMES):
                pieces = list(_first_pieces(ports, spec, stored))
                times_s = np.concatenate([times_s for times_s, _ in pieces])
                yield stored.video_id, (times_s, Frames.of(np.concatenate([x for _, x in pieces]), blocks))
        except IncompatibleFeatures as error:
            log.warning("%s: videos are not compared with others: %s", part, error)


def _first_pieces(
    ports: Ports, spec: FeatureSpec, stored: StoredFeatures
) -> Iterator[tuple[npt.NDArray[np.float64], Floats]]:
    kept = 0
    for piece in ports.store.pieces(spec.feature_set_id, stored):
        yield piece.times_s, piece.values
        kept += len(piece.values)
        if kept > MOST_FRAMES:
            return


# -- training -----------------------------------------------------------------------------------


def near_copies(ports: Ports, spec: FeatureSpec, videos: Sequence[LabelledVideo]) -> list[NearDuplicate]:
    """Near-duplicates among labelled videos: those on record, and those of videos not yet compared.

    Nothing is recorded: a training may run beside a night.
    """
    if not is_comparable(spec):
        return []
    stored = {v.video_id: v.stored for v in videos}
    found = ports.ledger.near_duplicates.among(spec.feature_set_id, stored)
    known = ports.ledger.near_duplicates.compared(spec.feature_set_id, stored)
    if len(stored) < 2 or known >= set(stored):
        return found
    means = dict(mean_features(ports.store, spec.feature_set_id, list(stored.values())))
    projection = fit_projection(np.stack(list(means.values())), block_sizes(spec))
    ids = list(means)
    vectors = _Vectors(ids, projection.vectors(np.stack([means[v] for v in ids])), [v in known for v in ids])
    for block in _blocks([stored[v] for v in ids if v not in known]):
        found += _near(ports, spec, block, vectors.candidates([s.video_id for s in block]))[0]
    return found


def resolved(
    ports: Ports, collection: str, spec: FeatureSpec, column: str | None, seed: int, *, copies: Copies,
    group_near_duplicates: bool,
) -> ResolvedSplit:  # fmt: skip
    """Split of a collection's labelled videos, `splits.resolve`, that not many near-duplicates straddle.

    Where no column says otherwise, sure pairs stay together.

    Raises:
        NotFound: No such collection, or no labels in it.
        ConfigurationError: No features yet, a split that cannot be used, or too many near-duplicates that
            straddle it.
    """
    videos = scoring.labelled(ports, collection, spec)
    pairs = near_copies(ports, spec, videos)
    is_free = column is None and not split_columns(videos)
    joined = [p for p in pairs if group_near_duplicates or (is_free and p.similarity >= SURE)]
    together = [(p.video_id, p.other_video_id) for p in joined]
    split = resolve(videos, column, seed, copies=copies, together=together)
    refuse_straddling(split, pairs, collection)
    return split


def refuse_straddling(split: ResolvedSplit, pairs: Sequence[NearDuplicate], collection: str) -> None:
    """Refuse a split whose test or val videos are often near-duplicates of other splits'; warn of a few.

    Pairs that may be none are let pass.

    Raises:
        ConfigurationError: They are more than `MOST_SHARE`; it names the pairs and the next command.
    """
    where = {v.video_id: (name, v.path) for name in SPLITS for v in split.part(name)}
    bad, seen = [], defaultdict(set)
    for pair in pairs:
        if not {pair.video_id, pair.other_video_id} <= set(where):
            continue  # the split column says nothing of one
        (mine, path), (theirs, other) = where[pair.video_id], where[pair.other_video_id]
        if mine != theirs and pair.similarity >= SURE:
            bad.append(f"{path} ({mine}) and {other} ({theirs}), similarity {pair.similarity:.2f}")
            sides = (mine, pair.video_id), (theirs, pair.other_video_id)
            name, video_id = max(sides, key=lambda side: SPLITS.index(side[0]))
            seen[name].add(video_id)
    if not bad:
        return
    more = f"; and {len(bad) - MENTIONED} more pairs" if len(bad) > MENTIONED else ""
    counts = " and ".join(f"{len(ids)} of {len(split.part(name))} {name}" for name, ids in seen.items())
    text = (
        f"{counts} videos are near-duplicates of videos in another split, which makes scores too high: "
        f"{'; '.join(bad[:MENTIONED])}{more}."
    )
    next_step = (
        f"vidpipe train --collection {collection} --group-near-duplicates, which keeps them together; "
        "vidpipe sql 'from near_duplicates' lists them."
    )
    if any(len(ids) > MOST_SHARE * len(split.part(name)) for name, ids in seen.items()):
        raise ConfigurationError(text, next_step=next_step)
    log.warning("%s Next: %s", text, next_step)
