"""Streaming feature extraction: frames of many videos in CNN batches of one fixed shape.

    decoders, ahead, bounded        one batch (B, H, W, 3)          activations, in order
    video 1 ▶ ▶ ▶ ┐
    video 2 ▶ ▶   ├──▶  1 1 1 1 2 2 2 …  ──▶ backbone ──▶ 1 1 1 1 │ 2 2 2 …  ──▶ part
    video 3 ▶     ┘     (the last one zero-padded)

Decoders run side by side and ahead of the CNN; their frames are consumed video by video, so that a
video's rows lie together in the part, and memory stays bounded whatever the number and length of videos.
Padding and neighbours do not change a single bit of a video's features.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, closing
from typing import Protocol

import numpy as np

from vidpipe.errors import VideoError
from vidpipe.records.features import (
    ClipRule,
    DecodeReport,
    ExtractedVideo,
    StoredFeatures,
    VideoFeatures,
)
from vidpipe.records.videos import Floats, PendingVideo, Pixels
from vidpipe.vision.decode_ahead import Decoding, End, Event, Frame, decode_ahead

FLUSH_FRAMES = 128
"""A long video's rows are written in slices of this many frames: held, copied and encoded, 2 MB each time."""
_NOTHING: Future[Floats] = Future()
_NOTHING.set_result(np.zeros((0, 0), np.float32))


class FrameEmbedder(Protocol):
    """Backbones: uint8 (B, H, W, 3) to activations (B, R), and those with flow to features (D,)."""

    batch_frames: int
    workers: int
    """Batches computed side by side."""

    def __call__(self, frames: Pixels) -> Floats: ...
    def features(self, activations: Floats, before: Floats | None, flow: Floats | None) -> Floats: ...
    def threads(self) -> AbstractContextManager[Executor]: ...


class RowSink(Protocol):
    """Destination of feature rows in order: a part that is being written."""

    @property
    def name(self) -> str: ...
    @property
    def rows(self) -> int: ...
    def append(self, features: VideoFeatures, first_frame: int = 0) -> None: ...


def extract(
    videos: Sequence[PendingVideo],
    *,
    decode: Callable[[PendingVideo], Decoding],
    embed: FrameEmbedder,
    sink: RowSink,
    workers: int,
    clip: ClipRule | None = None,
    on_frame: Callable[[PendingVideo], None] = lambda video: None,
) -> list[ExtractedVideo]:
    """Decode, embed and write videos in the given order; returns one outcome for each.

    A bad video becomes an outcome with its error; any other error stops the batch and every decoder.

    Args:
        videos: What to do, in the order in which rows are written.
        decode: Opens one video; called in worker threads.
        embed: The CNN.
        sink: Takes the rows.
        workers: Decoders side by side.
        clip: Clips of frames that the CNN sees, each a row; None: single frames.
        on_frame: Called after each of a video's rows, for progress.
    """
    outcomes: list[ExtractedVideo] = []
    writer = _RowWriter(sink, embed)
    with closing(decode_ahead(videos, decode, workers, clip)) as events:  # ends the decoders whatever happens
        for event, activations in _embedded(events, embed):
            if isinstance(event, Frame):
                assert activations is not None
                writer.add(event, activations)
                on_frame(event.video)
            else:
                outcomes.append(writer.end(event))
    return outcomes


# -- batches ------------------------------------------------------------------------------------


def _embedded(events: Iterable[Event], embed: FrameEmbedder) -> Iterator[tuple[Event, Floats | None]]:
    """Yield each event with its frame's activations (R,), in order; ends have none."""
    ahead: deque[tuple[list[Event], Future[Floats]]] = deque()
    with embed.threads() as pool:
        for waiting, batch in _batches(events, embed.batch_frames):
            ahead.append((waiting, pool.submit(embed, batch) if batch is not None else _NOTHING))
            if len(ahead) > embed.workers:
                yield from _with_activations(*ahead.popleft())
        while ahead:
            yield from _with_activations(*ahead.popleft())


def _batches(events: Iterable[Event], B: int) -> Iterator[tuple[list[Event], Pixels | None]]:
    """Events, and a batch (B, H, W, 3) with the frames among them, if any; zeros fill the last one up."""
    waiting: list[Event] = []
    batch: Pixels | None = None
    filled = 0
    for event in events:
        waiting.append(event)
        if not isinstance(event, Frame):
            continue
        if batch is None:
            batch = np.zeros((B, *event.pixels.shape), np.uint8)
        batch[filled] = event.pixels
        filled += 1
        if filled == B:
            yield waiting, batch
            waiting, batch, filled = [], None, 0
    yield waiting, batch


def _with_activations(
    events: Sequence[Event], batch: Future[Floats]
) -> Iterator[tuple[Event, Floats | None]]:
    found = iter(batch.result())
    for event in events:
        yield event, next(found) if isinstance(event, Frame) else None


# -- features -----------------------------------------------------------------------------------


class _RowWriter:
    """Pools activations of one video at a time to features and writes these in slices."""

    def __init__(self, sink: RowSink, embed: FrameEmbedder) -> None:
        self._sink, self._embed = sink, embed
        self._times = np.zeros(FLUSH_FRAMES)
        self._features: Floats = np.zeros((0, 0), np.float32)  # (FLUSH_FRAMES, D) from the first frame on
        self._before: Floats | None = None
        self._held = 0
        self._first_row: int | None = None
        self._written = 0

    def add(self, frame: Frame, activations: Floats) -> None:
        """Copy a frame's features into the slice; keeping small views alive would fragment the heap."""
        features = self._embed.features(activations, self._before, frame.flow)
        self._before = activations
        if not len(self._features):
            self._features = np.zeros((FLUSH_FRAMES, len(features)), np.float32)
        self._times[self._held], self._features[self._held] = frame.time_s, features
        self._held += 1
        if self._held == FLUSH_FRAMES:
            self._flush(frame.video.video_id)

    def end(self, end: End) -> ExtractedVideo:
        if self._held and not end.error:
            self._flush(end.video.video_id)
        outcome = _outcome(end, self._sink.name, self._first_row, self._written)
        self._before, self._held, self._first_row, self._written = None, 0, None, 0
        return outcome

    def _flush(self, video_id: str) -> None:
        if self._first_row is None:
            self._first_row = self._sink.rows
        n = self._held
        self._sink.append(
            VideoFeatures(video_id, self._times[:n].copy(), self._features[:n].copy()), self._written
        )
        self._written += n
        self._held = 0


def _outcome(end: End, part: str, first_row: int | None, n_frames: int) -> ExtractedVideo:
    """Outcome of a video; rows of one that failed half-way stay in the part, unnamed, and are never read."""
    video = end.video
    if end.error or first_row is None:
        error = end.error or VideoError(f"{video.file.name} gave no frame.")
        return ExtractedVideo(video.video_id, None, None, error.verdict, type(error).__name__, str(error))
    stored = StoredFeatures(video.video_id, part, first_row, n_frames)
    return ExtractedVideo(video.video_id, stored, end.report, _verdict(end.report))


def _verdict(report: DecodeReport | None) -> str:
    """Verdict of a decode: `partial` if the file is damaged, `blank` if no frame shows anything, or `ok`."""
    if report and report.is_damaged:
        return "partial"
    return "blank" if report and report.is_blank else "ok"
