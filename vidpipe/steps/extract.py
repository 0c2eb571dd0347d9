"""Extract: videos without features become parts and ledger rows.

A batch of videos becomes one part (`work`, which never opens the database, so that any worker can do it); one
transaction then says that the part's videos are done (`commit`). A crash costs one batch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vidpipe.errors import NotFound, RegistryUnreachable
from vidpipe.extraction import extract as run_engine
from vidpipe.ports import Ports
from vidpipe.records import FeatureSpec, PartResult, PendingVideo
from vidpipe.sampling import expected_samples
from vidpipe.steps.runs import Report, RunLog, recorded

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExtractReport(Report):
    """What was extracted."""

    run_id: int
    videos: int
    """Videos that have features now and had none before."""
    frames: int
    skipped: int
    """Videos that had features of every wanted set already."""
    failed: int
    failed_again: int
    """Of these, bad videos that were tried again."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Batch:
    """One part's worth of videos, to be computed by one worker."""

    spec: FeatureSpec
    videos: tuple[PendingVideo, ...]
    again: bool = False
    """Videos that failed before."""


def extract(
    ports: Ports, collection: str | None = None, *, retry_failed: bool = False, alone: bool = True
) -> ExtractReport:
    """Give every present video features of every wanted spec; arguments as in `plan`.

    Raises:
        NotFound: No such collection.
        LeaseHeld: Another run is at work.
    """
    with recorded(ports, "extract") as run:
        batches, skipped = plan(ports, collection, retry_failed=retry_failed, alone=alone)
        with ports.progress.stage("extract", sum(len(b.videos) for b in batches)) as advance:
            for batch in batches:
                commit(ports, run, batch, work(ports, batch))
                advance(len(batch.videos))
        return report(run, skipped)


def plan(
    ports: Ports, collection: str | None = None, *, retry_failed: bool = False, alone: bool = True
) -> tuple[list[Batch], int]:
    """What is to be done, in batches, and how many videos are complete already.

    Args:
        ports: The outside world.
        collection: One collection, or all.
        retry_failed: Include known-bad, unchanged videos that are due for another try.
        alone: `extract` by itself also makes features of the setting's spec; a night with a
            champion makes only those that some model version asks for.
    """
    if collection is not None and ports.ledger.collection(collection) is None:
        raise NotFound(f"no collection {collection!r}.", next_step="vidpipe collections lists them.")
    batches: list[Batch] = []
    skipped = 0
    for spec in _wanted_specs(ports, alone=alone):
        pending = ports.ledger.pending_videos(spec.feature_set_id, collection, retry_failed=False)
        batches += _batches(spec, pending, ports.limits.part_frames, again=False)
        if retry_failed:
            due = ports.ledger.pending_videos(spec.feature_set_id, collection, retry_failed=True)
            again = [video for video in due if video not in set(pending)]
            batches += _batches(spec, again, ports.limits.part_frames, again=True)
        skipped += ports.ledger.count_features(spec.feature_set_id, collection)
    return batches, skipped


def work(ports: Ports, batch: Batch) -> PartResult:
    """Compute one batch into one part. Touches videos and the feature store, never the database."""
    spec, transform = batch.spec, batch.spec.transform
    backbone = ports.load_backbone(spec)
    numerics = f"{backbone.numerics}/{ports.videos.decoder}"
    with ports.store.new_part(spec, numerics) as part:
        outcomes = run_engine(
            batch.videos,
            decode=lambda v: ports.videos.decode(v.file, spec.sample_fps, transform, v.duration_s),
            embed=backbone,
            sink=part,
            workers=ports.limits.workers,
        )
        return PartResult(spec.feature_set_id, part.commit(), numerics, tuple(outcomes))


def commit(ports: Ports, run: RunLog, batch: Batch, result: PartResult) -> None:
    """Record a finished part: from here on its videos are done."""
    ports.ledger.put_part(run.run_id, batch.spec, result)
    bad = [v for v in result.videos if v.error_class]
    for video in bad:
        log.warning("%s: %s", video.video_id[:12], video.message)
    run.videos += len(result.videos) - len(bad)
    run.frames += result.frames
    run.failed += len(bad)
    run.failed_again += len(bad) if batch.again else 0
    speed = run.frames / max(run.seconds, 1e-3)
    log.info("%d videos, %d frames, %.0f frames/s, %d failed", run.videos, run.frames, speed, run.failed)


def report(run: RunLog, skipped: int) -> ExtractReport:
    """The report of a run whose batches have been committed."""
    run.detail["skipped"] = skipped
    return ExtractReport(
        run.run_id, run.videos, run.frames, skipped, run.failed, run.failed_again, run.seconds
    )


def _wanted_specs(ports: Ports, *, alone: bool) -> list[FeatureSpec]:
    """What the registry's versions ask for; while it is away, what the collections are served from."""
    try:
        return _registry_specs(ports, alone=alone)
    except RegistryUnreachable as error:
        specs = ports.ledger.serving_specs()
        if not specs:
            raise
        log.warning("%s Going on with the features that predictions were made from.", error.message)
        return specs


def _registry_specs(ports: Ports, *, alone: bool) -> list[FeatureSpec]:
    """Specs of champion, challenger and serving versions; the setting's before any, and for `extract`."""
    aliases = ports.registry.aliases()
    versions = {aliases[a] for a in ("champion", "challenger") if a in aliases}
    versions |= set(ports.ledger.serving_versions().values())
    specs = [ports.registry.version(str(v)).spec for v in sorted(versions)]
    if alone or "champion" not in aliases:
        specs.insert(0, ports.limits.spec)
    return list({spec.feature_set_id: spec for spec in specs}.values())


def _batches(
    spec: FeatureSpec, videos: Sequence[PendingVideo], part_frames: int, *, again: bool
) -> Iterator[Batch]:
    """Cut by expected frames, so that every part costs about the same; a long video has its own."""
    batch: list[PendingVideo] = []
    frames = 0
    for video in videos:
        batch.append(video)
        frames += expected_samples(video.duration_s, video.frames_expected, spec.sample_fps)
        if frames >= part_frames:
            yield Batch(spec, tuple(batch), again)
            batch, frames = [], 0
    if batch:
        yield Batch(spec, tuple(batch), again)
