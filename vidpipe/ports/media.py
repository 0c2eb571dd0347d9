"""Ports of video probing and decoding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vidpipe.records.features import (
    FlowSpec,
    KeyframeRule,
    View,
)
from vidpipe.records.videos import (
    MediaFacts,
)

if TYPE_CHECKING:  # torch takes a second to load and numpy 0.1, which `vidpipe status` does not have
    from vidpipe.vision.decode_ahead import Decoding


class Videos(Protocol):
    """Probing and decoding of video files."""

    @property
    def decoder(self) -> str: ...
    def probe(self, file: Path) -> MediaFacts: ...
    def decode(
        self,
        file: Path,
        sample_fps: float,
        views: Sequence[View],
        duration_s: float | None,
        flow: FlowSpec | None = None,
        stream_index: int | None = None,
        keyframes: KeyframeRule | None = None,
        threads: int = 1,
        pixels: int = 0,
    ) -> Decoding: ...
    def every_frame(
        self,
        file: Path,
        size_px: tuple[int, int],
        duration_s: float | None,
        stream_index: int | None = None,
        threads: int = 1,
    ) -> Decoding: ...
    def thumbnail(self, file: Path, longer_px: int = ...) -> bytes: ...
    def filmstrip(self, file: Path) -> bytes: ...
    def pictures(self, file: Path, times_s: Sequence[float]) -> list[bytes]: ...
