"""Value types of labels: as lists and people give them, and as a check finds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

SplitName = Literal["train", "val", "test"]


@dataclass(frozen=True, slots=True)
class LabelledSpan:
    """A time span of a video with a label of its own."""

    start_s: float
    end_s: float
    label: str


@dataclass(frozen=True, slots=True)
class ListedVideo:
    """One line of a dataset's lists: label, group and splits of a file; a file may have several lines."""

    path: str
    """As the list gives it; nobody has looked yet whether such a file is there."""
    label: str | None = None
    group: str | None = None
    splits: Mapping[str, SplitName] = field(default_factory=dict)
    spans: tuple[LabelledSpan, ...] = ()
    """Parts with labels of their own, in any order; they may overlap."""
    doubt: str = ""
    """The reason why no label can be told; such a file is left out."""
    chosen: tuple[str, ...] = field(default=(), compare=False)
    """All labels that a tool has for the video as a whole, where it may have several."""
    mixed: tuple[LabelledSpan, ...] = field(default=(), compare=False)
    """Spans of moments with several labels, of one label each; of use where a video may have several."""


@dataclass(frozen=True, slots=True)
class GivenLabel:
    """One line of a label file: a label for the video that is, or was, at a path."""

    path: str
    label: str | None
    """None: left open."""
    collection: str | None = None
    """None: the one that the whole file is for."""
    video_id: str | None = None
    """The content that was looked at; None where the file does not say."""
    line: int | None = None
    """Of the file, from 1."""


@dataclass(frozen=True, slots=True)
class WaitingLabel:
    """A label that a person gave while browsing, and that is not yet in the ledger."""

    collection: str
    path: str
    label: str
    video_id: str
    """The content that was looked at."""
    source: str
    """Who gave it."""
    given_at: str
    """ISO 8601, naive UTC."""

    @property
    def of(self) -> tuple[str, str]:
        """Collection and video: one label may wait for them."""
        return self.collection, self.video_id


@dataclass(frozen=True, slots=True)
class LabelIssue:
    """A labelled video whose label disagrees with out-of-fold scores."""

    video_id: str
    path: str
    label: str
    suggested: str
    label_score: float
    suggested_score: float
    """Scores of the given and of the suggested label, 0 to 1."""
    is_confident: bool
    """The suggested label scores as videos of that label do."""


@dataclass(frozen=True, slots=True)
class LabelCheck:
    """Result of a check of a collection's labels."""

    dataset_hash: str
    videos: int
    unjudged: int
    """Videos whose label is too rare to be judged."""
