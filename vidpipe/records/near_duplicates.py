"""Value type of near-duplicate videos: copies of one recording whose bytes differ."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two videos that show the same frames one after the other."""

    video_id: str
    other_video_id: str
    similarity: float
    """Probability that one is a copy of the other, 0.5 to 1."""
    start_s: float
    end_s: float
    """When the first and the last matched frame show in the video, in seconds."""
    other_start_s: float
    other_end_s: float
    """In the other one."""
    frames: int
    """Sampled frames that match."""
