"""Time windows and spans of long videos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vidpipe.errors import ConfigurationError

MIN_WINDOW_S, MAX_WINDOW_S = 1.0, 600.0
"""A window shorter than this holds next to no frame; a longer one would not stay small in memory."""


MAX_OVERLAP = 10
"""So many windows may see one second: bounds what a long video costs and stores."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Sliding windows for long videos: length and stride in seconds (see learning/windows.py); or shots."""

    window_s: float
    """0 stands for shots, as in the ledger."""
    stride_s: float
    """From the start of one window to that of the next; at most `window_s`, so that nothing is unseen."""
    starts_s: tuple[float, ...] = ()
    """Of shots: where each begins, once that is known of a video."""

    def __post_init__(self) -> None:
        if self.are_shots:
            return
        if not MIN_WINDOW_S <= self.window_s <= MAX_WINDOW_S:
            raise ConfigurationError(
                f"window_s must be between {MIN_WINDOW_S:g} and {MAX_WINDOW_S:g} seconds, got "
                f"{self.window_s:g}.",
                next_step="pass --window-s, for example 10; 0 scores each video as a whole.",
            )
        if not self.window_s / MAX_OVERLAP <= self.stride_s <= self.window_s:
            raise ConfigurationError(
                "stride_s must be between a tenth of window_s and window_s "
                f"({self.window_s / MAX_OVERLAP:g} to {self.window_s:g} seconds), got {self.stride_s:g}.",
                next_step="pass --stride-s, for example half of --window-s.",
            )
        object.__setattr__(self, "window_s", float(self.window_s))
        object.__setattr__(self, "stride_s", float(self.stride_s))

    @property
    def are_shots(self) -> bool:
        """Whether each shot is a window."""
        return self.window_s == 0 and self.stride_s == 0

    @property
    def overlap(self) -> float:
        """So many windows see a second of the video."""
        return 1.0 if self.are_shots else self.window_s / self.stride_s

    @classmethod
    def of(
        cls, window_s: float | None, stride_s: float | None, starts_s: Sequence[float] | None = None
    ) -> Windows | None:
        """Windows from the ledger's columns; None where there are none."""
        if window_s is None or stride_s is None:
            return None
        return cls(window_s, stride_s, tuple(starts_s or ()))


SHOTS = Windows(0.0, 0.0)
"""Of a collection."""


Span = tuple[float, float]
"""`[start_s, end_s)` of a video, in seconds."""


WHOLE: Span = (0.0, math.inf)
