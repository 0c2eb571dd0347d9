"""Plan of an extraction: the wanted feature specs, and the videos that lack them, in shards of equal cost."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vidpipe.errors import NotFound, UnsafeModel
from vidpipe.ports import Ports
from vidpipe.records.features import FeatureSpec
from vidpipe.records.videos import PendingVideo
from vidpipe.steps.champion_alias import ODD, serving
from vidpipe.steps.lookup import require_collection
from vidpipe.vision.sampling import expected_cost, expected_samples

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExtractShard:
    """Shard of videos for one part of each of some specs, decoded once by one worker."""

    specs: tuple[FeatureSpec, ...]
    """Of one sampling rule, and one optical flow or none; or one of clips alone."""
    videos: tuple[PendingVideo, ...]
    cost: float
    """In sampled frames."""
    again: bool = False
    """Videos that failed before."""


def plan(
    ports: Ports, collection: str | None = None, *, retry_failed: bool = False, alone: bool = True
) -> tuple[list[ExtractShard], int]:
    """Shards of work to do, and the number of videos that are complete already.

    Args:
        ports: The outside world.
        collection: One collection, or all.
        retry_failed: Include known-bad, unchanged videos that are due for another try.
        alone: `extract` by itself also makes features of the setting's spec; a night with a
            champion makes only those that some model version asks for.
    """
    require_collection(ports, collection)
    specs = wanted_specs(ports, alone=alone)
    for spec in specs:
        ports.require_backbone(spec)
    new = {
        spec: ports.ledger.features.pending_videos(spec.feature_set_id, collection, retry_failed=False)
        for spec in specs
    }
    shards = list(_shards(new, ports.limits.part_frames, again=False))
    if retry_failed:
        due = {
            spec: ports.ledger.features.pending_videos(spec.feature_set_id, collection, retry_failed=True)
            for spec in specs
        }
        known = {spec: {v.video_id for v in videos} for spec, videos in new.items()}
        again = {spec: [v for v in due[spec] if v.video_id not in known[spec]] for spec in specs}
        shards += _shards(again, ports.limits.part_frames, again=True)
    return shards, _complete(ports, new, collection)


def wanted_specs(ports: Ports, *, alone: bool) -> list[FeatureSpec]:
    """Specs that the registry's versions need; while it cannot be read, those that collections serve from."""
    try:
        specs = _registry_specs(ports, alone=alone)
    except ODD as error:
        log.warning("%s Extracting the feature sets of the stored predictions instead.", error.message)
        specs = ports.ledger.predictions.serving_specs() or [ports.limits.spec]
    return list({spec.feature_set_id: spec for spec in specs}.values())


def _registry_specs(ports: Ports, *, alone: bool) -> list[FeatureSpec]:
    """Specs of champion, challenger and serving versions; the default one before any, and for `extract`.

    A version that is gone, or another tool's, falls out; what serves is read as before.
    """
    aliases = ports.registry.aliases()
    versions = {aliases[a] for a in ("champion", "challenger") if a in aliases} | serving(ports)
    specs, lost = list[FeatureSpec](), False
    for number in sorted(versions):
        try:
            specs.append(ports.registry.version(str(number)).spec)
        except (NotFound, UnsafeModel) as error:
            log.warning("features for version %d are left out: %s", number, error.message)
            lost = True
    if lost:
        specs += ports.ledger.predictions.serving_specs()
    if alone or not specs or ("champion" not in aliases and not lost):
        specs.insert(0, ports.limits.spec)
    return specs


def _complete(
    ports: Ports, pending: Mapping[FeatureSpec, Sequence[PendingVideo]], collection: str | None
) -> int:
    """Number of videos with features of every spec."""
    first = next(iter(pending))
    lack_first = {v.video_id for v in pending[first]}
    lack_another = {v.video_id for videos in pending.values() for v in videos} - lack_first
    return ports.ledger.features.count_features(first.feature_set_id, collection) - len(lack_another)


def _shards(
    pending: Mapping[FeatureSpec, Sequence[PendingVideo]], part_frames: int, *, again: bool
) -> Iterator[ExtractShard]:
    """Group videos that lack the same specs, as far as one decode can give these."""
    specs = list(pending)
    passes = decode_passes(specs)  # ids are hashes: once for each spec, not once for each video
    lacking: dict[tuple[str, int], list[int]] = defaultdict(list)
    found: dict[str, PendingVideo] = {}
    for number, spec in enumerate(specs):
        decode = passes[spec.feature_set_id]
        for video in pending[spec]:
            found[video.video_id] = video
            lacking[video.video_id, decode].append(number)
    alike: dict[tuple[int, ...], list[PendingVideo]] = defaultdict(list)
    for (video_id, _), numbers in lacking.items():
        alike[tuple(numbers)].append(found[video_id])
    for numbers_together, videos in alike.items():
        together = tuple(specs[number] for number in numbers_together)
        for some, cost in cut(videos, together[0], part_frames):
            yield ExtractShard(together, some, cost, again)


def decode_passes(specs: Iterable[FeatureSpec]) -> dict[str, int]:
    """Partition specs by decode: one sampling rule and at most one flow each; one of clips goes alone."""
    passes: list[list[FeatureSpec]] = []
    for spec in specs:
        for others in passes:
            if all(_go_together(spec, other) for other in others):
                others.append(spec)
                break
        else:
            passes.append([spec])
    return {spec.feature_set_id: number for number, some in enumerate(passes) for spec in some}


def _go_together(one: FeatureSpec, other: FeatureSpec) -> bool:
    flows = {one.flow, other.flow} - {None}
    rules = (one.sample_fps, one.keyframes), (other.sample_fps, other.keyframes)
    return rules[0] == rules[1] and len(flows) < 2 and not (one.clip or other.clip)


def cut(
    videos: Sequence[PendingVideo], spec: FeatureSpec, part_frames: int
) -> Iterator[tuple[tuple[PendingVideo, ...], float]]:
    """Cut videos into shards of about the same expected cost; a long video has its own."""
    some: list[PendingVideo] = []
    cost = 0.0
    for video in videos:
        own = _cost(video, spec)
        if own >= part_frames and some:
            yield tuple(some), cost
            some, cost = [], 0.0
        some.append(video)
        cost += own
        if cost >= part_frames:
            yield tuple(some), cost
            some, cost = [], 0.0
    if some:
        yield tuple(some), cost


def cost_per_frame(video: PendingVideo, spec: FeatureSpec) -> float:
    """Share of a video's expected cost that each of its rows, a frame or a clip, stands for."""
    samples = expected_samples(video.duration_s, video.frames_expected, spec.sample_fps)
    return _cost(video, spec) / samples * (spec.clip.stride if spec.clip else 1)


def _cost(video: PendingVideo, spec: FeatureSpec) -> float:
    return expected_cost(
        video.duration_s, video.frames_expected, video.pixels, spec.sample_fps,
        key_frames=spec.keyframes is not None,
    )  # fmt: skip
