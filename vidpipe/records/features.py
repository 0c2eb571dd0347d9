"""Value types of feature extraction: specs, features of a video, decode reports, positions in parts.

Shape letters as in `records/videos.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from vidpipe.errors import ConfigurationError, DamagedFeatures
from vidpipe.records.videos import Floats, canonical_json, short_hash
from vidpipe.records.windows import Windows

if TYPE_CHECKING:  # numpy takes 0.1 s to load, which `vidpipe status` does not have
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class FrameTransform:
    """Preprocessing of a decoded frame for the CNN: crop to a square, then resize.

    Cropping `crop_share` of the short side and resizing that to `size_px` equals "resize the short
    side to size/share, centre-crop size", at a cost that no aspect ratio can blow up.
    """

    size_px: int
    crop_share: float | None
    """None: the whole frame, its sides stretched to the square's. What happens at the edge is seen, too."""
    interpolation: str


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """Parameters of optical flow features: see vision/flow.py."""

    fps: float
    """Frames a second that it looks at, where the video has so many; at least as many as are sampled."""
    width_px: int
    height_px: int
    """Of the grey picture."""
    method: str
    pooling: str


@dataclass(frozen=True, slots=True)
class KeyframeRule:
    """Only key frames are decoded (`-skip_frame nokey`), and of these what the sampling rate takes."""

    most_gap_s: float
    """Seconds between key frames, or from the last to the end, beyond which a video is decoded in full."""


@dataclass(frozen=True, slots=True)
class ClipRule:
    """Clips of consecutive sampled frames, each of which gives one row of features."""

    frames: int
    """T of the network's input."""
    stride: int
    """Sampled frames from the start of one clip to that of the next."""


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """Input and output of a network from a file; those of built-in backbones are in their table."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    """Of RGB from 0 to 1; of 0 to 255 where any number is above 1."""
    layout: str
    """Order of the input's axes, such as NCHW or NCTHW."""
    output: str
    """Name of the output that is read."""
    channels: int
    side: int = 0
    """Height and width of the map, or of the patches among the tokens; 0: the output has no places."""
    clip: ClipRule | None = None
    """None: it sees single frames."""


Sampling = Literal["full", "keyframes"]

READERS = (1, 2)
"""How a video's bytes become the pictures that a transform gets.

1: the pixels as stored, whatever their shape. It took the first stream, and counted instants anew where the
   picture changes its size: of such a video it has no features (`Misread`).
2: square pixels before the crop; the recording among several streams; instants by true time alone; colours by
   the stream's tags (untagged HD is BT.709), PQ and HLG tone-mapped (adapters/media/colour.py); grey of 10 to
   16 bits, and floats, stretched between percentiles 0.1 and 99.9 of the video (adapters/media/deep_grey.py).
"""


@dataclass(frozen=True, slots=True)
class View:
    """One square crop of each sampled frame, and the reader version that decodes it."""

    transform: FrameTransform
    reader: int = 1


def squares(views: Sequence[View]) -> list[tuple[int, int]]:
    """Places of a frame's views, which lie one below the other: (first row, side)."""
    found, top = list[tuple[int, int]](), 0
    for view in views:
        found.append((top, view.transform.size_px))
        top += view.transform.size_px
    return found


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """Feature spec: sampling, preprocessing, CNN weights, pooling and flow. Specs that differ never mix.

    A field that came later has a default that means what was done before, and is not spelt then: the specs of
    old features keep their JSON and their hash.
    """

    sample_fps: float
    """One frame per 1/sample_fps seconds: see sampling.py."""
    backbone: str
    weights_sha256: str
    transform: FrameTransform
    pooling: str
    """What is kept of a frame, such as `average+grid+motion`: see pooling.py."""
    feature_size: int
    """D, the flow's numbers among them."""
    reader: int = 1
    """One of `READERS`."""
    flow: FlowSpec | None = None
    """None: no optical flow."""
    keyframes: KeyframeRule | None = None
    """None: every frame is decoded. Otherwise there is no optical flow: its frames are not there."""
    network: NetworkSpec | None = None
    """Of a backbone from a file; None: a built-in one."""

    def __post_init__(self) -> None:
        if self.flow and self.keyframes:
            raise ConfigurationError(
                "a feature spec of key frames has no optical flow.",
                next_step="leave out one of the two.",
            )
        if not 0 < self.sample_fps <= 1000:
            raise ConfigurationError(
                f"sample_fps must be above 0 and at most 1000, got {self.sample_fps}.",
                next_step="set VIDPIPE_SAMPLE_FPS, for example to 4.",
            )
        object.__setattr__(self, "sample_fps", float(self.sample_fps))  # 4 and 4.0 are one spec, one hash

    @property
    def view(self) -> View:
        """The crop of each frame that the backbone sees."""
        return View(self.transform, self.reader)

    @property
    def clip(self) -> ClipRule | None:
        """Clips that the backbone sees; None: single frames."""
        return self.network.clip if self.network else None

    @property
    def feature_set_id(self) -> str:
        """Id of the feature set: a hash of every field."""
        return short_hash(self._spelt())

    def to_json(self) -> str:
        """Canonical JSON, as the ledger, the parts and the model versions store it."""
        return canonical_json(self._spelt())

    @classmethod
    def from_json(cls, text: str) -> FeatureSpec:
        """Rebuild a spec from `to_json`.

        Raises:
            ConfigurationError: A field, or a reader, that this vidpipe does not know.
        """
        raw = json.loads(text)
        try:
            flow = {"flow": FlowSpec(**raw["flow"])} if raw.get("flow") else {}
            rule = {"keyframes": KeyframeRule(**raw["keyframes"])} if raw.get("keyframes") else {}
            net = {"network": _network_of(raw["network"])} if raw.get("network") else {}
            spec = cls(**{**raw, "transform": FrameTransform(**raw["transform"]), **flow, **rule, **net})
        except TypeError as error:
            raise ConfigurationError(
                f"a feature spec that this vidpipe does not know: {error}.",
                next_step="use the vidpipe version that made this feature set.",
            ) from None
        if spec.reader not in READERS:
            raise ConfigurationError(
                f"a feature spec of reader {spec.reader!r}; known are {READERS}.",
                next_step="use the vidpipe version that made this feature set.",
            )
        return spec

    def _spelt(self) -> dict[str, Any]:
        """All fields, without later ones at their defaults, so that older specs keep their hash."""
        fields = asdict(self)
        if self.reader == 1:
            del fields["reader"]
        if self.flow is None:
            del fields["flow"]
        if self.keyframes is None:
            del fields["keyframes"]
        if self.network is None:
            del fields["network"]
        return fields

    def difference(self, other: FeatureSpec) -> str:
        """The differing fields, as `name: mine against theirs`, for an error message."""
        mine, theirs = asdict(self), asdict(other)
        return "; ".join(f"{k}: {mine[k]!r} against {theirs[k]!r}" for k in mine if mine[k] != theirs[k])


def _network_of(raw: dict[str, Any]) -> NetworkSpec:
    clip = {"clip": ClipRule(**raw["clip"])} if raw.get("clip") else {}
    return NetworkSpec(**{**raw, "mean": tuple(raw["mean"]), "std": tuple(raw["std"]), **clip})


@dataclass(frozen=True, slots=True, eq=False)
class VideoFeatures:
    """The features of one video."""

    video_id: str
    times_s: npt.NDArray[np.float64]
    """Shape (T,): true presentation times, increasing, in seconds since the container's start,
    as a player shows them."""
    values: Floats
    """Shape (T, D), float32."""

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.times_s.shape != self.values.shape[:1]:
            raise ValueError(
                f"features of {self.video_id[:12]}: times have shape {self.times_s.shape}, "
                f"values {self.values.shape}; expected (T,) and (T, D)"
            )

    def __repr__(self) -> str:
        T, D = self.values.shape
        return f"VideoFeatures({self.video_id[:12]}…, T={T}, D={D})"


@dataclass(frozen=True, slots=True)
class DecodeReport:
    """Decoder statistics at the end of one video."""

    frames_decoded: int | None
    """Counted before sampling; None where only key frames were decoded, which says nothing of the others."""
    decode_errors: int
    last_line: str
    """Its last complaint, empty when it had none."""
    frames_expected: int | None = None
    """What the packets of the stream promise, without those that the container hides."""
    is_damaged: bool = False
    """Packets without their frames, torn frames, or a container that ends before its index."""
    black_share: float = 0.0
    """Of the sampled frames, those that are black."""
    frozen_share: float = 0.0
    """Of the sampled frames, those that equal the one before."""
    is_blank: bool = False
    """Every sampled frame is of one value."""
    sampling: Sampling = "full"
    """Which frames were decoded: all, or the key frames alone."""
    misread: str = ""
    """How reader 1 samples other frames of this video; empty where it does not."""


@dataclass(frozen=True, slots=True)
class StoredFeatures:
    """Position of a video's features: `n_frames` rows of `part`, from `row_offset` on."""

    video_id: str
    part: str
    row_offset: int
    n_frames: int


@dataclass(frozen=True, slots=True)
class Unscored(StoredFeatures):
    """A video that a version has still to classify, with the windows that its collections ask for."""

    windows: Windows | None = None
    """None: as a whole."""


@dataclass(frozen=True, slots=True)
class ExtractedVideo:
    """The outcome of one video: rows in a part, or the error that stands instead of them."""

    video_id: str
    stored: StoredFeatures | None
    report: DecodeReport | None
    verdict: str | None
    """None when nothing was learnt about the bytes."""
    error_class: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class PartResult:
    """Result of one shard of videos in one spec: a part file, ready to be committed to the ledger."""

    spec: FeatureSpec
    part: str | None
    """File name in the feature set's folder; None when no video of the batch gave a frame."""
    numerics: str
    videos: Sequence[ExtractedVideo]
    size_bytes: int = 0
    """Of the part's file."""

    @property
    def frames(self) -> int:
        """Sampled frames in the part."""
        return sum(v.stored.n_frames for v in self.videos if v.stored)


class SkippedFeatures:
    """Context manager that goes on without features that cannot be read, and remembers which."""

    def __init__(self) -> None:
        self.errors: list[DamagedFeatures] = []

    def __enter__(self) -> SkippedFeatures:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, DamagedFeatures):
            self.errors.append(error)
            return True
        return False

    def raise_any(self) -> None:
        """Raise what was met, as one error.

        Raises:
            DamagedFeatures: Something was skipped.
        """
        if self.errors:
            raise DamagedFeatures.joined(self.errors)
