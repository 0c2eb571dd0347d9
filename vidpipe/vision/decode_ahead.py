"""Decoding ahead: bounded queues of sampled frames, filled by threads, read video by video.

A clip backbone's frames are grouped into clips on the way, and what the pictures show is counted.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from queue import Empty, Full, Queue
from typing import Protocol

import numpy as np

from vidpipe.errors import VideoError
from vidpipe.records.features import ClipRule, DecodeReport
from vidpipe.records.videos import Floats, PendingVideo, Pixels
from vidpipe.vision.frame_quality import PictureStats

AHEAD_FRAMES = 64
"""Frames that each decoder may run ahead of the CNN: about 10 MB at 224 px."""
_POLL_S = 0.2


class Decoding(Protocol):
    """The sampled frames of one video; `report` is there once they have been iterated.

    `flow` has the optical flow (F,) of the frame that came last, where the spec wants it.
    """

    report: DecodeReport | None

    @property
    def flow(self) -> Floats | None: ...

    def __iter__(self) -> Generator[tuple[float, Pixels], None, None]: ...


@dataclass(frozen=True, slots=True)
class Frame:
    """A sampled frame, or clip, of a video."""

    video: PendingVideo
    time_s: float
    pixels: Pixels
    flow: Floats | None


@dataclass(frozen=True, slots=True)
class End:
    """End of a video: the decoder's statistics, or its error."""

    video: PendingVideo
    report: DecodeReport | None
    error: VideoError | None


Event = Frame | End


def decode_ahead(
    videos: Sequence[PendingVideo],
    decode: Callable[[PendingVideo], Decoding],
    workers: int,
    clip: ClipRule | None,
) -> Generator[Event, None, None]:
    """Yield all frames and ends, video by video, decoded ahead by `workers` threads, which end with it."""
    stop = threading.Event()
    ahead: deque[Queue[Event | BaseException]] = deque()
    rest = iter(videos)
    most = max(2, AHEAD_FRAMES // clip.frames) if clip else AHEAD_FRAMES
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:

        def start(count: int) -> None:
            for video in islice(rest, count):
                ahead.append(Queue(most))
                pool.submit(_pump, video, decode, ahead[-1], stop, clip)

        try:
            start(2 * workers + 1)
            while ahead:
                yield from _drain(ahead.popleft())
                start(1)
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def _pump(
    video: PendingVideo,
    decode: Callable[[PendingVideo], Decoding],
    queue: Queue[Event | BaseException],
    stop: threading.Event,
    clip: ClipRule | None,
) -> None:
    """Decode one video into its bounded queue, until it is stopped."""

    def put(event: Event | BaseException) -> bool:
        while not stop.is_set():
            try:
                queue.put(event, timeout=_POLL_S)
                return True
            except Full:
                continue
        return False

    try:
        decoding = decode(video)
        frames = iter(decoding)
        picture = PictureStats()
        seen = picture.watching(frames)
        try:
            for time_s, pixels in clips(seen, clip) if clip else seen:
                if not put(Frame(video, time_s, pixels, decoding.flow)):
                    return
        finally:
            frames.close()  # ends the decoder's process
        put(End(video, _with_picture(decoding.report, picture), None))
    except VideoError as error:
        put(End(video, None, error))
    except BaseException as error:
        put(error)


def clips(frames: Iterable[tuple[float, Pixels]], rule: ClipRule) -> Iterator[tuple[float, Pixels]]:
    """Group frames into clips uint8 (T, H, W, 3), each with the time of its middle.

    One starts every `stride` frames. If frames are left at the end, a last one repeats the last frame until
    it is full; so a video of any length gives at least one.
    """
    held: list[tuple[float, Pixels]] = []
    unseen = skip = 0
    for frame in frames:
        if skip:
            skip -= 1
            continue
        held.append(frame)
        unseen += 1
        if len(held) == rule.frames:
            yield _clip(held, rule.frames)
            skip = max(0, rule.stride - rule.frames)
            held, unseen = held[rule.stride :], 0
    if unseen:
        yield _clip(held, rule.frames)


def _clip(held: Sequence[tuple[float, Pixels]], T: int) -> tuple[float, Pixels]:
    pictures = [pixels for _, pixels in held]
    return (held[0][0] + held[-1][0]) / 2, np.stack(pictures + pictures[-1:] * (T - len(pictures)))


def _with_picture(report: DecodeReport | None, picture: PictureStats) -> DecodeReport | None:
    if report is None:
        return None
    return replace(
        report, black_share=picture.black_share, frozen_share=picture.frozen_share, is_blank=picture.is_blank
    )


def _drain(queue: Queue[Event | BaseException]) -> Iterator[Event]:
    while True:
        try:
            event = queue.get(timeout=_POLL_S)
        except Empty:
            continue
        if isinstance(event, BaseException):
            raise event
        yield event
        if isinstance(event, End):
            return
