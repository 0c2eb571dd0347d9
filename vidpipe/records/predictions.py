"""Value types of predictions and promotions."""

from __future__ import annotations

from dataclasses import dataclass

from vidpipe.records.windows import Windows


@dataclass(frozen=True, slots=True)
class Prediction:
    """One row of `predictions`: the label on one rank for one video."""

    video_id: str
    rank: int
    label: str
    score: float
    windows: Windows | None = None
    """Those whose mean the score is; None where the video was scored as a whole."""


@dataclass(frozen=True, slots=True)
class WindowPrediction:
    """One row of `window_predictions`: the label on one rank for `[start_s, end_s)` of a video."""

    video_id: str
    start_s: float
    end_s: float
    rank: int
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Promotion:
    """One final row of `promotions`, the newest of its kind."""

    promotion_id: int
    from_version: int | None
    to_version: int | None
    decision: str
    to_digest: str | None = None
    """Of the version that `to_version` means: MLflow may count anew; None where that is not known."""
