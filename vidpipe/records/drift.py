"""Records of feature drift: a night's new videos of a collection, and what was found of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vidpipe.records.features import StoredFeatures
from vidpipe.records.videos import Floats


@dataclass(frozen=True, slots=True, eq=False)
class DriftVideos:
    """Videos of which drift is told."""

    video_ids: Sequence[str]
    features: Floats
    """Means over time, (N, D)."""
    recording: Floats
    """Frames a second, width and height, (N, 3)."""

    def __len__(self) -> int:
        return len(self.video_ids)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Videos of a collection that no night has been told of yet."""

    collection: str
    videos: int
    """So many there are; of more than a night looks at, some at random."""
    stored: Sequence[StoredFeatures]
    recording: Sequence[tuple[float, float, float]]
    seen_until: Any
    """When the last of them was first seen, UTC."""


@dataclass(frozen=True, slots=True)
class DriftBefore:
    """State of a collection's drift after its last night with a version."""

    run_id: int = 0
    statistic: float = 0.0
    nights: int = 0
    alarm_run_id: int = 0
    """The last night that was an alarm: what came before it counts no more. 0: none."""


@dataclass(frozen=True, slots=True)
class DriftFound:
    """Feature drift of one collection in one night."""

    collection: str
    version: int
    videos: int
    distance: float | None
    """From the training, in its deviations; None with few videos, or where the training is not known."""
    p_features: float | None
    p_recording: float | None
    """None where there is too little to compare."""
    e_value: float
    alarmed: bool
    statistic: float
    nights: int
