"""Optical flow while a video decodes: a thread reads small grey pictures from ffmpeg's second output.

It always reads on, so that ffmpeg never waits for a reader that waits for ffmpeg; what it keeps of a picture
is 99 numbers. How far it may run ahead is bounded by the frames on the other pipe, where ffmpeg has to wait.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeAlias

import numpy as np

from vidpipe.adapters.media.log import FfmpegLog
from vidpipe.errors import Unreadable
from vidpipe.records.features import FlowSpec
from vidpipe.records.videos import Floats
from vidpipe.vision.optical_flow import FlowMeter, mean_flow
from vidpipe.vision.sampling import Sampler

TIME_WAIT_S = 20.0
_Flow: TypeAlias = "tuple[float, Floats | None]"
_END_S = float("inf")


class FlowReader:
    """Reader of the optical flow of one video, in order of time.

    Attributes:
        write_end: Descriptor for ffmpeg; `reading` closes it on our side.
    """

    def __init__(self, spec: FlowSpec, log: FfmpegLog, start_s: float | None = None) -> None:
        """Open the pipe for grey pictures.

        Args:
            spec: How flow is computed.
            log: Where the pictures' times stand.
            start_s: When the video starts, where ffmpeg samples by it: surplus pictures are left out then.
        """
        self._spec, self._log = spec, log
        self._sampler = Sampler(spec.fps, start_s) if start_s is not None else None
        self._flows: SimpleQueue[_Flow | BaseException] = SimpleQueue()
        self._read_end, self.write_end = os.pipe()
        self._next: _Flow | None = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Context manager that reads in a thread until ffmpeg ends; leave it only after that."""
        os.close(self.write_end)
        thread = Thread(target=self._read, name="flow", daemon=True)
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def until(self, time_s: float) -> Floats:
        """Flow features of the frame at `time_s`: the mean of the flows since the frame before."""
        flows: list[Floats] = []
        while (found := self._next or self._take())[0] <= time_s:
            self._next = None
            if found[1] is not None:
                flows.append(found[1])
            if found[0] == time_s:
                return mean_flow(flows)
        self._next = found
        return mean_flow(flows)

    def _take(self) -> _Flow:
        found = self._flows.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def _time_of_next(self) -> float:
        while (time_s := self._log.flow_times_s.get(timeout=TIME_WAIT_S)) is None:
            pass
        return time_s

    def _read(self) -> None:
        try:
            meter = FlowMeter(self._spec)
            shape = (self._spec.height_px, self._spec.width_px)
            with BufferedReader(FileIO(self._read_end), 1 << 16) as pipe:
                while pipe.readinto((grey := np.empty(shape, np.uint8)).reshape(-1).data) == grey.size:
                    time_s = self._time_of_next()
                    if not self._sampler or self._sampler.takes(time_s):
                        self._flows.put((time_s, meter.add(time_s, grey)))
        except Empty:
            self._flows.put(Unreadable(f"ffmpeg gave a picture without a time. {self._log.said}"))
        except BaseException as error:
            self._flows.put(error)
        self._flows.put((_END_S, None))
