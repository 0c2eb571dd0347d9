"""Value types of sources, collections, videos and failures: frozen dataclasses, validated when made.

Shape letters, everywhere: N videos, T frames, H W height and width in pixels, D feature size,
K labels, B frames in a batch. Units stand in names: `_s` seconds, `_px`, `_fps`, `_bytes`, `_at` (naive UTC).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from vidpipe.records.attributes import UNDECLARED, Declared
from vidpipe.records.globs import ALL, Globs
from vidpipe.records.labels import LabelledSpan
from vidpipe.records.windows import Windows

if TYPE_CHECKING:  # numpy takes 0.1 s to load, which `vidpipe status` does not have
    import numpy as np
    import numpy.typing as npt

Floats: TypeAlias = "npt.NDArray[np.float32]"
Doubles: TypeAlias = "npt.NDArray[np.float64]"
Pixels: TypeAlias = "npt.NDArray[np.uint8]"
Stage = Literal["ingest", "describe", "probe", "extract", "classify"]
"""`describe`: a stated value of a video does not parse; the video is processed all the same."""


def canonical_json(value: Any) -> str:
    """Canonical JSON for hashing: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def short_hash(value: Any) -> str:
    """First 16 hex digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def consecutive_slices(sizes: Sequence[int]) -> list[slice]:
    """Slices of consecutive blocks of these sizes."""
    return [slice(begin, end) for begin, end in pairwise([0, *accumulate(sizes)])]


_NOTHING: dict[str, str] = {}


def _nothing() -> Mapping[str, str]:
    """Shared empty mapping: one for each field of 300,000 listed files would take 60 MB."""
    return _NOTHING


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
    splits: Mapping[str, str] = field(default_factory=_nothing)
    """Split column name to train, val or test."""
    etag: str | None = None
    """Object storage's mark of the content; None for files."""
    spans: tuple[LabelledSpan, ...] = ()
    """Where the manifest labels parts of it, in order of time; it has no label as a whole then."""
    attributes: Mapping[str, str] = field(default_factory=_nothing)
    """What the manifest's other columns say of it."""
    line: int | None = None
    """Of the manifest that names it, from 1."""
    typed: Mapping[str, str] = field(default_factory=_nothing)
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
class ListingChanges:
    """Listed paths whose files are to be read, compared with the ledger."""

    changed: Set[str]
    """Files that are new, changed, never hashed or probed, or waiting because they grew while being read."""
    probe_due: Set[str]
    """Unchanged files whose probe failed and is due for a retry."""


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
    multi_label: bool = False
    """A video may have several labels: each label text is a set of names, as in `label_sets`."""


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
