"""Time windows and spans of long videos."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vidpipe.errors import ConfigurationError

MIN_WINDOW_S, MAX_WINDOW_S = 1.0, 600.0
"""A window shorter than this holds next to no frame; a longer one would not stay small in memory."""


MAX_OVERLAP = 10
"""So many windows may see one second: bounds what a long video costs and stores."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Sliding windows for long videos: length and stride in seconds (see learning/windows.py)."""

    window_s: float
    stride_s: float
    """From the start of one window to that of the next; at most `window_s`, so that nothing is unseen."""

    def __post_init__(self) -> None:
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

    @classmethod
    def of(cls, window_s: float | None, stride_s: float | None) -> Windows | None:
        """Windows from the ledger's two columns; None where there are none."""
        return None if window_s is None or stride_s is None else cls(window_s, stride_s)


Span = tuple[float, float]
"""`[start_s, end_s)` of a video, in seconds."""


WHOLE: Span = (0.0, math.inf)
