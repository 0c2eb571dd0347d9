"""Value types of training and evaluation: labelled videos, sequences, scores, model versions, eval sets.

Shape letters as in `records/videos.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vidpipe.records.features import FeatureSpec, StoredFeatures
from vidpipe.records.label_sets import names_in
from vidpipe.records.videos import Floats, consecutive_slices, short_hash
from vidpipe.records.windows import WHOLE, Span

if TYPE_CHECKING:  # numpy takes 0.1 s to load, which `vidpipe status` does not have
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class LabelledVideo:
    """A labelled video (or labelled span) of a collection, with the position of its features."""

    video_id: str
    path: str
    label: str
    group: str
    """The video's own id where the manifest names no group."""
    splits: Mapping[str, str]
    stored: StoredFeatures
    given: bool = False
    """A person gave the label after ingest; where no split is listed for it, the video is in train."""
    span: Span | None = None
    """The part that the label is of; None: all of the video."""
    multi_label: bool = False
    """The label is a set of names: `label_sets.names_in`."""
    joined: tuple[str, ...] = ()
    """Groups that near-duplicates made one of, its own among them."""
    copies: tuple[LabelledVideo, ...] = ()
    """Other entries of the same content, or span of it, with their own split and group."""

    @property
    def names(self) -> tuple[str, ...]:
        """Its labels: one, or those of its set."""
        return names_in(self.label) if self.multi_label else (self.label,)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureLayout:
    """Blocks of a feature row, and the order that turns it into the row of the mirrored picture."""

    blocks: tuple[int, ...]
    """Sizes of the kinds of features, which sum to D."""
    mirrored: npt.NDArray[np.int64] | None = None
    """Permutation (D,): `row[mirrored]` is the row of the picture with left and right exchanged; twice it is
    the identity. None: the features do not say where."""
    cells: tuple[int, ...] = ()
    """In how many cells of the picture the first kinds have what is seen, one cell after another; 1: none."""

    def grids(self) -> Iterator[tuple[slice, int]]:
        """Columns of each kind that is in a grid, and its number of cells."""
        for columns, cells in zip(consecutive_slices(self.blocks), self.cells, strict=False):
            if cells > 1:
                yield columns, cells


@dataclass(frozen=True, slots=True, eq=False)
class Sequences:
    """Variable-length feature sequences with their labels, ready to train on or to score.

    `features` holds N arrays (T_i, D); `targets` is (N,) int64 indices into `labels`, or (N, K) of zeros and
    ones where a video may have several labels.
    """

    video_ids: tuple[str, ...]
    features: tuple[Floats, ...]
    targets: npt.NDArray[np.int64]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.video_ids) == len(self.features) == len(self.targets):
            raise ValueError(
                f"{len(self.video_ids)} ids, {len(self.features)} sequences, {len(self.targets)} targets"
            )

    def __len__(self) -> int:
        return len(self.video_ids)

    def __repr__(self) -> str:
        return f"Sequences(N={len(self)}, K={len(self.labels)})"


@dataclass(frozen=True, slots=True)
class Scores:
    """Accuracy, macro F1 and per-label scores of one model on one split."""

    n: int
    accuracy: float
    macro_f1: float
    per_label: Mapping[str, Mapping[str, float]]
    """Label to precision, recall, f1 and support."""
    top_3: float | None = None
    """Share of videos whose true label is among the three best; None where only the best one is known."""
    calibration_error: float | None = None
    """How far scores are from the share of right answers among their like: metrics.calibration_error."""

    @property
    def measure(self) -> str:
        """Name of the headline, the score that decides."""
        return "accuracy"

    @property
    def headline(self) -> float:
        """The score that decides."""
        return self.accuracy

    def of_sets(self) -> dict[str, float]:
        """Scores that only sets of labels have, by name."""
        return {}


@dataclass(frozen=True, slots=True)
class LabelSetScores(Scores):
    """Scores where a video may have several labels; `accuracy` is the share of videos with all of them right.

    Per label there are average_precision and threshold, too.
    """

    mean_average_precision: float = 0.0
    """Over the labels that occur: how well scores sort the videos, whatever the thresholds."""
    micro_f1: float = 0.0
    """F1 over all labels of all videos together."""

    @property
    def measure(self) -> str:
        """Name of the headline, the score that decides."""
        return "mAP"

    @property
    def headline(self) -> float:
        """The score that decides: it does not hang on thresholds."""
        return self.mean_average_precision

    def of_sets(self) -> dict[str, float]:
        """Scores that only sets of labels have, by name."""
        return {name: getattr(self, name) for name in OF_SETS}


OF_SETS = ("mean_average_precision", "micro_f1")
"""Scores that only sets of labels have."""
REGISTERED = "registered"
"""Of the blend, where parts and baselines have names."""


@dataclass(frozen=True, slots=True)
class LabelDecisions:
    """Calibration and thresholds of each label of a version that gives a video several labels, or none."""

    scale: tuple[float, ...]
    shift: tuple[float, ...]
    """Of the blend's log odds, K of both."""
    thresholds: Mapping[str, tuple[float, ...]]
    """K for the registered model, and K for each part and baseline by name: a label holds from there on."""

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> LabelDecisions:
        """Read from the plain values that a version stores."""
        thresholds = {name: tuple(values) for name, values in facts["thresholds"].items()}
        return cls(tuple(facts["scale"]), tuple(facts["shift"]), thresholds)

    @property
    def registered(self) -> tuple[float, ...]:
        """Thresholds of the registered model, K."""
        return self.thresholds[REGISTERED]


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """Cross-validated accuracy: folds of the training videos, held out by group."""

    videos: int
    accuracy: float
    low: float
    """Of the 95 % interval, bootstrap by group."""
    high: float
    folds: int
    mean_average_precision: float | None = None
    """Where a video may have several labels; there `accuracy` is the share with all of them right."""

    def to_dict(self) -> dict[str, float]:
        """The scores as plain values, as stored in a version."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class AttentionStrip:
    """Attention weights of a video's frames, with pictures of some."""

    title: str
    times_s: Sequence[float]
    weights: Sequence[float]
    pictures: Sequence[tuple[float, bytes]]
    """A few moments in seconds, and the JPEG of each."""


@dataclass(frozen=True, slots=True)
class VersionId:
    """Identity of a model version: MLflow's number is unique only within one model of one store."""

    model: str
    number: int
    digest: str
    """Hash of what was registered."""
    created_at: datetime | None = None
    """Naive UTC."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of the registered model and what it was made from."""

    model: str
    version: int
    mlflow_run_id: str
    labels: tuple[str, ...]
    spec: FeatureSpec
    collection: str
    split_column: str | None
    dataset_hash: str
    created_at_ms: int
    metrics: Mapping[str, float]
    aliases: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Of parts and baselines, by name, and the cross-validated accuracy; empty in versions of format 1."""
    digest: str = ""
    """Hash of what was registered: MLflow may give the same number to another model."""
    is_copy: bool = False
    """Its files are read from the copy in the home, because the registry cannot give them."""
    multi_label: bool = False
    """It may give a video several labels."""
    decided: Mapping[str, str] = field(default_factory=dict)
    """Tags of the last decision on it: decision, decided_by, decided_at, promotion_id; all four or none."""

    @property
    def identity(self) -> VersionId:
        """The identity under which the ledger records it."""
        created_at = datetime.fromtimestamp(self.created_at_ms / 1000, UTC).replace(tzinfo=None)
        return VersionId(self.model, self.version, self.digest, created_at)


@dataclass(frozen=True, slots=True, order=True)
class EvaluationVideo:
    """One video of an evaluation set."""

    video_id: str
    label: str
    group: str
    span: Span = WHOLE
    """The part that it is judged on; by default all of it."""

    def facts(self) -> tuple[Any, ...]:
        """The fields that the hash of its evaluation set covers."""
        whole = (self.video_id, self.label, self.group)
        return whole if self.span == WHOLE else (*whole, *self.span)


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """Labelled videos that versions are compared on."""

    collection: str
    split: str
    videos: tuple[EvaluationVideo, ...]
    """In order of their ids."""
    frozen: bool
    """False for a version's own test split, which is a set of its own for each version."""
    multi_label: bool = False
    """Labels are sets of names, as the collection's are."""

    @property
    def set_hash(self) -> str:
        """Hash of ids, labels and groups: the same videos, labelled alike, are the same set."""
        return short_hash([v.facts() for v in self.videos])

    @property
    def labels(self) -> list[str]:
        """Labels that occur, in alphabetical order."""
        return sorted({name for names in self.names for name in names})

    @property
    def names(self) -> list[tuple[str, ...]]:
        """Labels of each video: one, or those of its set."""
        return [names_in(v.label) if self.multi_label else (v.label,) for v in self.videos]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Predictions of one model for the N videos of an evaluation set, in their order."""

    labels: tuple[str, ...]
    """Labels that the model knows."""
    predicted: tuple[str, ...]
    scores: Floats
    """Probability of each predicted label, (N,)."""
    of_labels: Floats | None = None
    """Probability of every label, (N, K), of a version that may give a video several."""
    thresholds: tuple[float, ...] = ()
    """Of every label, K, there."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredVideos:
    """Probabilities that a model gave N videos whose label is known."""

    labels: tuple[str, ...]
    truth: npt.NDArray[np.int64]
    """Indices into them, (N,), or which of them a video has, (N, K)."""
    given: Floats
    """Probability of each label, (N, K)."""


@dataclass(frozen=True, slots=True)
class LoggedEvaluation:
    """Scores of a version or a decision about it, with their evidence, as MLflow keeps them."""

    name: str
    """Such as `evaluate`, `promoted`, `refused`."""
    version: int
    facts: Mapping[str, Any]
    metrics: Mapping[str, float] = field(default_factory=dict)
    dataset: str = ""
    """Name of what the metrics are of."""
    dataset_hash: str | None = None
    version_tags: Mapping[str, str] = field(default_factory=dict)
    scored: ScoredVideos | None = None
    """What its figures show: confusion matrix and reliability diagram."""
    run_tags: Mapping[str, str] = field(default_factory=dict)
    """Name it for good: a run that has them, left behind by a crash, is continued."""
