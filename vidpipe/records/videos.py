"""Value types of collections, videos, failures and predictions: frozen dataclasses, validated when made.

Shape letters, everywhere: N videos, T frames, H W height and width in pixels, D feature size,
K labels, B frames in a batch. Units stand in names: `_s` seconds, `_px`, `_fps`, `_bytes`, `_at` (naive UTC).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from vidpipe.errors import ConfigurationError
from vidpipe.records.attributes import UNDECLARED, Declared
from vidpipe.records.globs import ALL, Globs

if TYPE_CHECKING:  # numpy takes 0.1 s to load, which `vidpipe status` does not have
    import numpy as np
    import numpy.typing as npt

Floats: TypeAlias = "npt.NDArray[np.float32]"
Pixels: TypeAlias = "npt.NDArray[np.uint8]"
Stage = Literal["ingest", "describe", "probe", "extract", "classify"]
"""`describe`: a stated value of a video does not parse; the video is processed all the same."""
SplitName = Literal["train", "val", "test"]


def canonical_json(value: Any) -> str:
    """Canonical JSON for hashing: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def short_hash(value: Any) -> str:
    """First 16 hex digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def consecutive_slices(sizes: Sequence[int]) -> list[slice]:
    """Slices of consecutive blocks of these sizes."""
    return [slice(begin, end) for begin, end in pairwise([0, *accumulate(sizes)])]


# -- videos and collections ---------------------------------------------------------------------

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


@dataclass(frozen=True, slots=True)
class LabelledSpan:
    """A time span of a video with a label of its own."""

    start_s: float
    end_s: float
    label: str


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a collection's source as listed, before any of its bytes has been read."""

    path: str
    """Relative to the source, POSIX separators, valid UTF-8."""
    size_bytes: int
    mtime_ns: int | None
    inode: int | None
    """With size and mtime, the quick answer to "has it changed?"; an object has neither, but an etag."""
    label: str | None = None
    group: str | None = None
    splits: Mapping[str, str] = field(default_factory=dict)
    """Split column name to train, val or test."""
    etag: str | None = None
    """Object storage's mark of the content; None for files."""
    spans: tuple[LabelledSpan, ...] = ()
    """Where the manifest labels parts of it, in order of time; it has no label as a whole then."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """What the manifest's other columns say of it."""
    line: int | None = None
    """Of the manifest that names it, from 1."""
    typed: Mapping[str, str] = field(default_factory=dict)
    """Declared attributes that parse, in the spelling that DuckDB casts to their types."""
    recorded_at: datetime | None = None
    """Start of the recording as manifest, name or collection's time zone have it; None: as `videos`."""
    recorded_at_source: str | None = None
    """manifest, name or container."""
    ctime_ns: int | None = None
    """When the file system last changed it: unlike `mtime_ns`, no program can set it back."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Listing of a source: its videos, and the number of other files by suffix."""

    files: list[SourceFile]
    """Sorted by path."""
    passed_over: Mapping[str, int] = field(default_factory=dict)
    """Suffix, in lower case with its dot, to the number of files that are no videos or that a pattern leaves
    out. Hidden files are none."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A local file with size, times and inode at the time when it was listed or hashed."""

    path: Path
    size_bytes: int
    mtime_ns: int
    inode: int
    ctime_ns: int | None = None
    """None: not known."""
    video_id: str | None = None
    """SHA-256 of its bytes; None while nothing of it has been read."""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.name


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of a bucket with size and etag at the time when it was listed."""

    uri: str
    size_bytes: int
    etag: str | None

    @property
    def name(self) -> str:
        """The last part of its key, as of a path."""
        return self.uri.rsplit("/", 1)[-1]


Place = Path | LocalFile | StoredObject
"""Where a video can be read; of a bare path nothing is known that its bytes could be compared with."""


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


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of videos with one source and an optional manifest."""

    name: str
    source: str
    """Absolute folder, or URI of a prefix in a bucket."""
    manifest: str | None = None
    """Absolute path, or URI, of a CSV file."""
    label_from: str | None = None
    """`folder`, or None."""
    windows: Windows | None = None
    """None: each video is scored as a whole."""
    globs: Globs = ALL
    declared: Declared = UNDECLARED


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """Container metadata of the video stream that is decoded: size, rate, duration, rotation, codec."""

    container: str
    video_codec: str
    width_px: int
    height_px: int
    """Both after rotation: what a viewer sees."""
    rotation: int
    """Degrees clockwise that a player turns the picture: 0, 90, 180 or 270."""
    source_fps: float | None
    is_vfr: bool | None
    duration_s: float | None
    frames_expected: int | None
    """Counted by the container's own index; None when it has none. Never duration times rate: both lie."""
    stream_index: int = 0
    """Of the stream that is read, as ffmpeg counts streams."""
    stream_count: int = 1
    """Moving pictures among the streams; attached pictures are none."""
    mirrored: bool = False
    """The picture is flipped left to right, before it is rotated."""
    field_order: str | None = None
    """`progressive`, or interlaced: tt, bb, tb or bt (ffprobe's words); None where nothing says."""
    sample_aspect_ratio: str | None = None
    """Width to height of one stored pixel, such as `24:11`; None where nothing says."""
    display_width_px: int | None = None
    display_height_px: int | None = None
    """After rotation and with square pixels."""
    times_assumed: bool = False
    """The stream carries no timestamps: its times come from a frame rate."""
    recorded_at: datetime | None = None
    """As the container says; a time without a zone is taken as UTC."""
    recorded_text: str | None = None
    """What the container says, where that names no time zone or is no date and time."""


@dataclass(frozen=True, slots=True)
class ProbedVideo:
    """A probed video: its hash and metadata, or the verdict why there is none."""

    video_id: str
    size_bytes: int
    facts: MediaFacts | None
    verdict: str | None
    """None until frames have been decoded; a VideoError's verdict when the probe failed."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure of one path at one stage."""

    collection: str
    path: str
    video_id: str | None
    stage: Stage
    error_class: str
    message: str


@dataclass(frozen=True, slots=True)
class PendingVideo:
    """A video without features yet: where to read it, and its expected cost."""

    video_id: str
    file: Place
    duration_s: float | None
    frames_expected: int | None
    pixels: int = 0
    """Of one frame; 0 where it is not known."""
    stream_index: int | None = None
    """The stream to read; None: the first that moves."""


# -- serving ------------------------------------------------------------------------------------


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
