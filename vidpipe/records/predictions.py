"""Value types of predictions and promotions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vidpipe.records.windows import Windows


@dataclass(frozen=True, slots=True)
class Prediction:
    """One row of `predictions`: the label on one rank for one video."""

    video_id: str
    rank: int
    label: str
    score: float
    windows: Windows | None = None
    """Those that the score is of; None where the video was scored as a whole."""
    over_threshold: bool | None = None
    """Whether the label holds; None where a version gives a video one label."""


@dataclass(frozen=True, slots=True)
class WindowPrediction:
    """One row of `window_predictions`: the label on one rank for `[start_s, end_s)` of a video."""

    video_id: str
    start_s: float
    end_s: float
    rank: int
    label: str
    score: float
    over_threshold: bool | None = None


@dataclass(frozen=True, slots=True)
class Promotion:
    """One final row of `promotions`, the newest of its kind."""

    promotion_id: int
    from_version: int | None
    to_version: int | None
    decision: str
    to_digest: str | None = None
    """Of the version that `to_version` means: MLflow may count anew; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A decision on record whose carrying out has not ended: all that MLflow is told of it."""

    promotion: Promotion
    evidence: Mapping[str, Any]
    reason: str | None
    actor: str
    decided_at: datetime
    """UTC, naive."""
