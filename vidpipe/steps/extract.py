"""Feature extraction: CNN features of videos that lack them, as Parquet parts and ledger rows.

A shard of videos becomes a part for each spec that they lack, in one decode (`work`, which never opens the
database, so that any worker can do it); one transaction then records its videos as done (`commit`). A crash
costs one shard.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from vidpipe.errors import Misread
from vidpipe.ports import Ports
from vidpipe.ports.features import Part
from vidpipe.ports.sources import Staging
from vidpipe.records.features import (
    DecodeReport,
    ExtractedVideo,
    FeatureSpec,
    PartResult,
    VideoFeatures,
    View,
    squares,
)
from vidpipe.records.videos import Floats, PendingVideo, Pixels, consecutive_slices
from vidpipe.steps.near_duplicates import find_near_duplicates
from vidpipe.steps.plan_extraction import ExtractShard, cost_per_frame, plan, wanted_specs
from vidpipe.steps.runs import Result, RunLog, recorded
from vidpipe.steps.shots import find_shots
from vidpipe.steps.vectors import make_vectors
from vidpipe.vision.decode_ahead import Decoding
from vidpipe.vision.extraction import extract as run_engine

MOST_DECODER_THREADS = 8
"""For one video: each holds pictures of its own, and a decoder's memory is limited."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExtractResult(Result):
    """Result of `vidpipe extract`."""

    run_id: int
    videos: int
    """Videos that have features now and had none before."""
    frames: int
    skipped: int
    """Videos that had features of every wanted set already."""
    failed: int
    failed_again: int
    """Of these, bad videos that were tried again."""
    waiting: int
    """Videos whose file changed since it was hashed, left to the next night: no failures."""
    written_bytes: int
    """Bytes of the parts."""
    seconds: float

    def __add__(self, later: ExtractResult) -> ExtractResult:
        """Sum of two passes; `skipped` is the later one's."""
        return ExtractResult(
            later.run_id, self.videos + later.videos, self.frames + later.frames,
            later.skipped - self.videos, self.failed + later.failed,
            self.failed_again + later.failed_again, self.waiting + later.waiting,
            self.written_bytes + later.written_bytes,
            self.seconds + later.seconds,
        )  # fmt: skip


def extract(
    ports: Ports, collection: str | None = None, *, retry_failed: bool = False, alone: bool = True
) -> ExtractResult:
    """Extract features of every wanted spec for every present video; arguments as in `plan`.

    Raises:
        NotFound: No such collection.
        LeaseHeld: Another run is at work.
    """
    with recorded(ports, "extract") as run:
        shards, skipped = plan(ports, collection, retry_failed=retry_failed, alone=alone)
        with ports.progress.stage("extract", sum(b.cost for b in shards), "frames") as advance:
            for shard, parts in ports.executor.compute(ports, work, shards):
                commit(ports, run, shard, parts)
                for video in shard.videos:
                    ports.staging.drop(video.file)
                advance(shard.cost, parts[0].frames)
        specs = wanted_specs(ports, alone=alone)
        run.detail["vectors"] = make_vectors(ports, specs)
        run.detail["near_duplicates"] = find_near_duplicates(ports, specs)
        run.detail["shots"] = find_shots(ports)
        return report(run, skipped)


def work(ports: Ports, shard: ExtractShard) -> list[PartResult]:
    """Compute one shard into a part for each spec; reads videos and writes the store, never the database."""
    from vidpipe.vision.backbones import Backbones  # torch takes a second to import

    sample_fps, keyframes = shard.specs[0].sample_fps, shard.specs[0].keyframes
    views = distinct_views(shard.specs)
    places = dict(zip(views, squares(views), strict=True))
    flow = next((spec.flow for spec in shard.specs if spec.flow), None)  # one: see `decode_passes`
    alone = len(shard.videos) == 1  # the other cores would have nothing to do
    threads = (
        min(2 * ports.limits.workers, MOST_DECODER_THREADS) if alone else 1
    )  # some wait for others' frames
    backbones = [ports.load_backbone(spec) for spec in shard.specs]
    numerics = [f"{backbone.numerics}/{ports.videos.decoder}" for backbone in backbones]
    with ExitStack() as parts_in_the_making:
        parts = [
            parts_in_the_making.enter_context(ports.store.new_part(spec, of_spec))
            for spec, of_spec in zip(shard.specs, numerics, strict=True)
        ]
        outcomes = run_engine(
            shard.videos,
            decode=_Staged(
                ports.staging,
                shard.videos,
                lambda file, v: ports.videos.decode(
                    file, sample_fps, views, v.duration_s, flow, v.stream_index, keyframes, threads, v.pixels
                ),
            ),
            embed=Backbones(backbones, [places[spec.view] for spec in shard.specs]),
            sink=_SideBySide(parts, [spec.feature_size for spec in shard.specs]),
            workers=ports.limits.workers,
            clip=shard.specs[0].clip,
            on_frame=lambda v: ports.progress.in_progress(cost_per_frame(v, shard.specs[0]), 1),
        )
        return [
            _finished(spec, part, of_spec, outcomes)
            for spec, part, of_spec in zip(shard.specs, parts, numerics, strict=True)
        ]


def distinct_views(specs: Sequence[FeatureSpec]) -> list[View]:
    """Views of the specs, each once, the largest first: what a picture shows is judged by it."""
    return sorted(dict.fromkeys(spec.view for spec in specs), key=lambda view: -view.transform.size_px)


def commit(ports: Ports, run: RunLog, shard: ExtractShard, results: Sequence[PartResult]) -> None:
    """Record a shard's parts in one transaction, after which its videos are done."""
    ports.ledger.features.put_parts(run.run_id, results)
    result = results[0]  # the same videos as in the others
    bad = [failed for of_specs in zip(*(r.videos for r in results), strict=True)
           if (failed := next((v for v in of_specs if v.error_class), None))]  # fmt: skip
    for video in bad:
        log.warning("%s: %s", video.video_id[:12], video.message, extra={"video_id": video.video_id})
    run.videos += len(result.videos) - len(bad)
    run.frames += max(r.frames for r in results)
    run.written_bytes += sum(r.size_bytes for r in results)
    run.count_failures([str(v.error_class) for v in bad], again=shard.again)
    speed = run.frames / max(run.seconds, 1e-3)
    log.info("%d videos, %d frames, %.0f frames/s, %d failed", run.videos, run.frames, speed, run.failed)


def report(run: RunLog, skipped: int) -> ExtractResult:
    """Result of a run whose shards have been committed."""
    run.detail["skipped"] = skipped
    return ExtractResult(
        run.run_id, run.videos, run.frames, skipped, run.failed, run.failed_again, run.waiting,
        run.written_bytes, run.seconds,
    )  # fmt: skip


class _Staged:
    """Decoder of videos in folders and, by way of the staging folder, in buckets.

    Decoders wait for room on the disk in the order of the videos. The rows of the first are written first, so
    the others hold their room until it is done: were it to wait for them, nothing would go on.
    """

    def __init__(
        self,
        staging: Staging,
        videos: Sequence[PendingVideo],
        decode: Callable[[Path, PendingVideo], Decoding],
    ) -> None:
        self._staging, self._decode = staging, decode
        self._number = {video.video_id: number for number, video in enumerate(videos)}
        self._turns = [Event() for _ in range(len(videos) + 1)]
        self._turns[0].set()

    def __call__(self, video: PendingVideo) -> Decoding:
        number = self._number[video.video_id]
        return _StagedDecoding(self._staging, video, self._decode, self._turns[number : number + 2])


class _StagedDecoding:
    """Decoding of one video, whose local file is kept while its frames are read."""

    def __init__(
        self,
        staging: Staging,
        video: PendingVideo,
        decode: Callable[[Path, PendingVideo], Decoding],
        turns: Sequence[Event],
    ) -> None:
        self.report: DecodeReport | None = None
        self.flow: Floats | None = None
        self._staging, self._video, self._decode = staging, video, decode
        self._mine, self._next = turns

    def __iter__(self) -> Generator[tuple[float, Pixels], None, None]:
        self._mine.wait()
        try:
            with self._staging.local(self._video.file, has_room=self._next.set) as file:
                decoding = self._decode(file, self._video)
                for frame in decoding:
                    self.flow = decoding.flow
                    yield frame
                self.report = decoding.report
        finally:
            self._next.set()


class _SideBySide:
    """Writes several parts at once, one for each spec: the same rows, each with its own feature columns."""

    name = ""

    def __init__(self, parts: Sequence[Part], sizes: Sequence[int]) -> None:
        self._parts, self._slices = parts, consecutive_slices(sizes)

    @property
    def rows(self) -> int:
        return self._parts[0].rows

    def append(self, features: VideoFeatures, first_frame: int = 0) -> None:
        for part, columns in zip(self._parts, self._slices, strict=True):
            part.append(replace(features, values=features.values[:, columns]), first_frame)


def _finished(spec: FeatureSpec, part: Part, numerics: str, outcomes: Sequence[ExtractedVideo]) -> PartResult:
    """Commit a part, and return what is to be recorded of it."""
    name = part.commit()
    of_spec = tuple(_stored_in(part.name, _as_read_by(spec, v)) for v in outcomes)
    return PartResult(spec, name, numerics, of_spec, part.size_bytes)


def _stored_in(part: str, video: ExtractedVideo) -> ExtractedVideo:
    return replace(video, stored=replace(video.stored, part=part)) if video.stored else video


def _as_read_by(spec: FeatureSpec, video: ExtractedVideo) -> ExtractedVideo:
    """Outcome of a video for a spec: a failure if it wants reader 1, which would sample other frames."""
    if spec.reader > 1 or not (video.report and video.report.misread):
        return video
    error = Misread(f"feature set {spec.feature_set_id} uses reader 1, which {video.report.misread}.")
    return replace(video, stored=None, error_class=type(error).__name__, message=error.message)
